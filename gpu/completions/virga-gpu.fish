# SPDX-License-Identifier: MIT
# fish completion for virga-gpu

function __virga_gpu_displays
    printf '%s\n' auto none qemu
    __fish_complete_directories (string replace -rf '.*png:' '' -- (commandline -ct)) | string replace -r '^' png:
end

complete -c virga-gpu -f
complete -c virga-gpu -l socket-path -r -F -d 'Listen on this socket for a front-end'
complete -c virga-gpu -l fd -x -d 'Serve this open socket'
complete -c virga-gpu -l one-off -d 'End when the first front-end has left'
complete -c virga-gpu -l display -x -a '(__virga_gpu_displays)' -d 'Where frames go'
complete -c virga-gpu -l outputs -x -a '1280x800 1920x1080 2560x1440 3840x2160' -d 'Monitors, where the front-end brings none'
complete -c virga-gpu -l max-hostmem -x -a '256M 512M 1G 2G' -d 'Memory for the guest\'s pictures'
complete -c virga-gpu -l hostmem -x -a '256M 1G 4G' -d 'Of the window for memory of the renderer'
complete -c virga-gpu -l virgl -d 'OpenGL for the guest'
complete -c virga-gpu -l venus -d 'Vulkan for the guest'
complete -c virga-gpu -l drm -d 'The GPU of this machine for the guest'
complete -c virga-gpu -l gfxstream -F -d 'Vulkan for the guest, by gfxstream\'s library'
complete -c virga-gpu -l render-node -x -a '(ls -1 /dev/dri/renderD* 2>/dev/null)' -d 'The GPU that draws it'
complete -c virga-gpu -l scanout -x -a 'auto shm dmabuf' -d 'How QEMU gets what OpenGL drew'
complete -c virga-gpu -l isolate -x -a 'process none' -d 'Where OpenGL is drawn'
complete -c virga-gpu -l max-command-time -x -a '5 10 30 60' -d 'Seconds that OpenGL may take for one command'
complete -c virga-gpu -l log -x -a 'err warn info dbg' -d 'Say more'
complete -c virga-gpu -l seccomp -x -a 'kill trap log none' -d 'At a system call that is never needed'
complete -c virga-gpu -s v -d 'Like --log=info; twice, like --log=dbg'
complete -c virga-gpu -l check -f -a 'qemu libvirt' -d 'Say what works here, and print the lines to use'
complete -c virga-gpu -l print-capabilities -d 'Answer a management tool with JSON'
complete -c virga-gpu -l version -d 'Print the version'
complete -c virga-gpu -l help -d 'List the options'
