"""strata completion: the script that makes a shell complete strata's verbs, flags, and names of containers and images.

The scripts ask `strata __complete WORD…` (`app.cli.completing`), which answers a suggestion a line: the word, and after
a tab what it is for; ":files" stands for the names of files.
"""

from __future__ import annotations

from app.cli.output import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.cli.flags import Args, Parser

BASH = r"""# bash completion for strata. Now:     source <(strata completion bash)
# For good: strata completion bash > ~/.local/share/bash-completion/completions/strata

_strata() {
    local line word cur=${COMP_LINE:0:COMP_POINT} files=
    local -a words
    # Words as the shell would split them, not as bash's completion does: that cuts at ":" and "=".
    read -r -a words <<< "$cur"
    [[ $cur == *[[:space:]] ]] && words+=("")
    cur=${words[-1]}
    COMPREPLY=()
    while IFS= read -r line; do
        word=${line%%$'\t'*}
        if [[ $word == :files ]]; then files=1; else COMPREPLY+=("$word"); fi
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
    if [[ -n $files ]]; then
        compopt -o filenames 2>/dev/null
        while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur")
    fi
    # What stands before the last ":" or "=" is a word of its own for bash, and must not be given again.
    local breaks=${COMP_WORDBREAKS//[^:=]/} before=
    [[ -n $breaks && $cur == *[$breaks]* ]] && before=${cur%"${cur##*[$breaks]}"}
    [[ -n $before ]] && COMPREPLY=("${COMPREPLY[@]#"$before"}")
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace 2>/dev/null
}
complete -F _strata strata
"""

ZSH = r"""#compdef strata
# zsh completion for strata. Now:      source <(strata completion zsh)
# For good: strata completion zsh > "${fpath[1]}/_strata"

_strata() {
    local line files=
    local -a found
    while IFS= read -r line; do
        if [[ $line == ':files'* ]]; then
            files=1
        elif [[ $line == *$'\t'* ]]; then
            found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        else
            found+=("${line//:/\\:}")
        fi
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( $#found )) && _describe -t strata strata found
    [[ -n $files ]] && _files
    return 0
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _strata "$@"; else compdef _strata strata; fi
"""

FISH = r"""# fish completion for strata. Now:     strata completion fish | source
# For good: strata completion fish > ~/.config/fish/completions/strata.fish

function __strata_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
        if string match -q ':files*' -- $line
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c strata -f -a '(__strata_complete)'
"""

SCRIPTS = {"bash": BASH, "fish": FISH, "zsh": ZSH}


def add_arguments(parser: Parser) -> None:
    parser.describe("bash|zsh|fish", least=1, most=1)


def run(args: Args) -> int:
    script = SCRIPTS.get(args.words[0])
    if script is None:
        raise args.parser.wrong(f'unknown shell "{args.words[0]}": bash, zsh and fish are known', 1)
    out(script)
    return 0


def complete(words: Sequence[str]) -> int:
    """Answer a shell: a suggestion a line."""
    from app.cli.completing import suggestions
    from app.cli.format import visible

    lines = [f"{word}\t{visible(line)}" if line else word for word, line in suggestions(words)]
    out("".join(f"{line}\n" for line in lines))
    return 0
