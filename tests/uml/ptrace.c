/* For Debian's user-mode Linux 6.1 on processors whose extended state is larger than its buffer (AMX): Linux takes
 * PTRACE_SETREGSET of NT_X86_XSTATE only with the whole of it (arch/x86/kernel/fpu/regset.c, xstateregs_set), and UML
 * would die of EFAULT. This ptrace, preloaded, reads the whole state, puts UML's beginning over it, and writes that.
 * No malloc, no libc state: this is called on the stacks of UML's kernel, which replaces malloc by its own.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NT_X86_XSTATE 0x202
#define WHOLE 65536 /* CPUID leaf 0xd knows no larger one yet: 11008 bytes with AMX */

static char whole[WHOLE] __attribute__((aligned(64))); /* UML's kernel has one thread */

long ptrace(enum __ptrace_request request, ...)
{
    va_list rest;
    va_start(rest, request);
    long pid = va_arg(rest, int);
    void *addr = va_arg(rest, void *);
    void *data = va_arg(rest, void *);
    va_end(rest);

    if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
        long word; /* the system call stores it, the C library returns it */
        long result = syscall(SYS_ptrace, request, pid, addr, &word);
        return result < 0 ? result : word;
    }
    struct iovec *own = data;
    if (request != PTRACE_SETREGSET || (long)addr != NT_X86_XSTATE || own->iov_len > WHOLE)
        return syscall(SYS_ptrace, request, pid, addr, data);

    struct iovec all = {whole, WHOLE};
    long result = syscall(SYS_ptrace, PTRACE_GETREGSET, pid, addr, &all);
    if (result < 0)
        return result;
    memcpy(whole, own->iov_base, own->iov_len < all.iov_len ? own->iov_len : all.iov_len);
    return syscall(SYS_ptrace, request, pid, addr, &all);
}
