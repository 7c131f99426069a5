"""What a container's processes may ask of the kernel: seccomp profiles, and the filters that they are compiled to.

`default` is docker's profile as data, `profile` the form of every profile and its JSON, `compiler` makes the classic
BPF program that the kernel runs at each system call, `numbers` knows the calls. All of it is pure: a command compiles,
`engine.kernel.seccomp` installs. Nothing here may be loaded by a monitor.
"""
