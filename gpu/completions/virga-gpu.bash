# SPDX-License-Identifier: MIT
# bash completion for virga-gpu

_virga_gpu() {
    local cur prev words cword split
    _init_completion -s -n : || return
    case $prev in
    --socket-path | --gfxstream)
        _filedir
        ;;
    --display)
        if [[ $cur == png:* ]]; then
            cur=${cur#png:} # what is before a colon is another word to readline
            _filedir -d
        else
            COMPREPLY=($(compgen -W 'auto none qemu png:' -- "$cur"))
            [[ ${COMPREPLY-} != png: ]] || compopt -o nospace
        fi
        ;;
    --outputs)
        COMPREPLY=($(compgen -W '1280x800 1920x1080 2560x1440 3840x2160' -- "$cur"))
        ;;
    --max-command-time)
        COMPREPLY=($(compgen -W '5 10 30 60' -- "$cur"))
        ;;
    --max-hostmem | --hostmem)
        COMPREPLY=($(compgen -W '256M 512M 1G 2G' -- "$cur"))
        ;;
    --log)
        COMPREPLY=($(compgen -W 'err warn info dbg' -- "$cur"))
        ;;
    --check)
        COMPREPLY=($(compgen -W 'qemu libvirt' -- "$cur"))
        ;;
    --seccomp)
        COMPREPLY=($(compgen -W 'kill trap log none' -- "$cur"))
        ;;
    --render-node)
        COMPREPLY=($(compgen -G "${cur:-/dev/dri/renderD}*"))
        ;;
    --scanout)
        COMPREPLY=($(compgen -W 'auto shm dmabuf' -- "$cur"))
        ;;
    --isolate)
        COMPREPLY=($(compgen -W 'process none' -- "$cur"))
        ;;
    --fd) ;;
    *)
        COMPREPLY=($(compgen -W '--socket-path= --fd= --one-off --display= --outputs=
            --max-hostmem= --hostmem= --virgl --gfxstream --venus --drm --render-node= --scanout= --isolate= --max-command-time= --log= --seccomp= -v --check --print-capabilities --version --help' -- "$cur"))
        [[ ${COMPREPLY-} != *= ]] || compopt -o nospace
        ;;
    esac
} &&
    complete -F _virga_gpu virga-gpu
