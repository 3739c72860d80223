//! Completions of crawl-ckpt that know the checkpoints: clap's know only what stands on the command line.

use clap_complete::Shell;

/// How all of them are listed, as PROJECT/SPIDER. `$dir` holds `--data-dir DIR`, or nothing.
const LIST: &str = r#"ls 2>/dev/null | awk 'NR > 1 { print $1 "/" $2 }'"#;

const BASH: &str = r#"
_crawl-ckpt-checkpoints() {
    local words=("${COMP_WORDS[@]:1:COMP_CWORD-1}") dir=() at command=
    for at in "${!words[@]}"; do
        case ${words[at]} in
        --data-dir) dir=(--data-dir "${words[at + 1]-}") ;;
        show | size | verify | report | rm) command=yes ;;
        esac
    done
    local cur=${COMP_WORDS[COMP_CWORD]}
    case ${COMP_WORDS[COMP_CWORD - 1]} in
    --data-dir | --older-than | --against | --output | -o) command= ;;
    esac
    if [[ $command && $cur != -* ]]; then
        COMPREPLY=($(compgen -W "$(crawl-ckpt "${dir[@]}" LIST)" -- "$cur"))
    else
        _crawl__ckpt "$@"
    fi
}

complete -F _crawl-ckpt-checkpoints -o bashdefault -o default crawl-ckpt
"#;

const ZSH: &str = r#"
_crawl-ckpt-checkpoints() {
    local -a dir found
    if [[ -n ${opt_args[--data-dir]-} ]]; then dir=(--data-dir "${(Q)opt_args[--data-dir]}"); fi
    found=(${(f)"$(crawl-ckpt $dir LIST)"})
    compadd -- $found
}
"#;

const FISH: &str = r#"
function __fish_crawl_ckpt_checkpoints
    set -l words (commandline -opc)
    set -l dir
    if set -l at (contains -i -- --data-dir $words)
        set dir --data-dir $words[(math $at + 1)]
    end
    crawl-ckpt $dir LIST
end
complete -c crawl-ckpt -n "__fish_crawl_ckpt_using_subcommand show size verify report rm" -f -a "(__fish_crawl_ckpt_checkpoints)"
"#;

/// The completion of crawl-ckpt, with the checkpoints.
pub fn completed(shell: Shell, script: &str) -> String {
    let with = |text: &str| text.replace("LIST", LIST);
    match shell {
        Shell::Zsh => {
            // The function that asks stands before what calls the whole.
            let (head, tail) = script
                .rsplit_once("\nif [ \"$funcstack[1]\"")
                .unwrap_or((script, ""));
            let of_names = "for the project `default`";
            let lines = head.lines().map(|line| match line.split_once(of_names) {
                Some((begin, end)) => {
                    begin.to_owned()
                        + of_names
                        + &end.replace(":_default", ":_crawl-ckpt-checkpoints")
                }
                None => line.to_owned(),
            });
            let head = lines.collect::<Vec<_>>().join("\n");
            format!("{head}\n{}\nif [ \"$funcstack[1]\"{tail}", with(ZSH))
        }
        Shell::Fish => script.to_owned() + &with(FISH),
        _ => script.to_owned() + &with(BASH),
    }
}
