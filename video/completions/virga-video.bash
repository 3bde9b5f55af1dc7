# SPDX-License-Identifier: MIT
# bash completion for virga-video

_virga_video() {
    local cur prev words cword split
    _init_completion -s -n : || return
    case $prev in
    --socket-path)
        _filedir
        ;;
    --device)
        COMPREPLY=($(compgen -W 'decoder encoder' -- "$cur"))
        ;;
    --dialect)
        COMPREPLY=($(compgen -W 'auto v3 arcvm android' -- "$cur"))
        ;;
    --codecs)
        local before=
        [[ $cur != *,* ]] || before=${cur%,*},
        COMPREPLY=($(compgen -P "$before" -W 'h264 hevc vp8 vp9 mpeg2 mpeg4' -- "${cur##*,}"))
        compopt -o nospace
        ;;
    --max-memory)
        COMPREPLY=($(compgen -W '256M 512M 1G 2G' -- "$cur"))
        ;;
    --isolate)
        COMPREPLY=($(compgen -W 'process none' -- "$cur"))
        ;;
    --log)
        COMPREPLY=($(compgen -W 'err warn info dbg video:info codec:dbg' -- "$cur"))
        ;;
    --check)
        COMPREPLY=($(compgen -W 'qemu libvirt' -- "$cur"))
        ;;
    --seccomp)
        COMPREPLY=($(compgen -W 'kill trap log none' -- "$cur"))
        ;;
    --fd) ;;
    *)
        COMPREPLY=($(compgen -W '--socket-path= --fd= --one-off --device= --dialect= --codecs=
            --max-memory= --isolate= --log= --seccomp= -v --check --print-capabilities --version --help' -- "$cur"))
        [[ ${COMPREPLY-} != *= ]] || compopt -o nospace
        ;;
    esac
} &&
    complete -F _virga_video virga-video
