# SPDX-License-Identifier: MIT
# bash completion for virga-sound

_virga_sound() {
    local cur prev words cword split
    _init_completion -s -n : || return
    case $prev in
    --socket-path)
        _filedir
        ;;
    --backend)
        if [[ $cur == file:* ]]; then
            cur=${cur#file:} # what is before a colon is another word to readline
            _filedir -d
        else
            COMPREPLY=($(compgen -W 'pipewire null file:' -- "$cur"))
            [[ ${COMPREPLY-} != file: ]] || compopt -o nospace
        fi
        ;;
    --playback)
        COMPREPLY=($(compgen -W '0 1 2 4 8' -- "$cur"))
        ;;
    --capture)
        COMPREPLY=($(compgen -W '0 1 2' -- "$cur"))
        ;;
    --media-role)
        COMPREPLY=($(compgen -W 'Music Movie Game Communication Notification Accessibility
            Production' -- "$cur"))
        ;;
    --target)
        COMPREPLY=($(compgen -W "$(pw-cli ls Node 2>/dev/null |
            sed -n 's/.*node\.name = "\([^" ]*\)"/\1/p')" -- "$cur"))
        ;;
    --log)
        COMPREPLY=($(compgen -W 'err warn info dbg sound:info' -- "$cur"))
        ;;
    --check)
        COMPREPLY=($(compgen -W 'qemu libvirt' -- "$cur"))
        ;;
    --seccomp)
        COMPREPLY=($(compgen -W 'kill trap log none' -- "$cur"))
        ;;
    --fd | --name) ;;
    *)
        COMPREPLY=($(compgen -W '--socket-path= --fd= --one-off --backend= --playback= --capture=
            --controls --jacks --name= --media-role= --target= --log= --seccomp= -v --check
            --print-capabilities --version --help' -- "$cur"))
        [[ ${COMPREPLY-} != *= ]] || compopt -o nospace
        ;;
    esac
} &&
    complete -F _virga_sound virga-sound
