# SPDX-License-Identifier: MIT
# fish completion for virga-sound

function __virga_sound_backends
    printf '%s\n' pipewire null
    __fish_complete_directories (string replace -rf '.*file:' '' -- (commandline -ct)) | string replace -r '^' file:
end

function __virga_sound_targets
    pw-cli ls Node 2>/dev/null | string match -rg 'node\.name = "(.*)"'
end

complete -c virga-sound -f
complete -c virga-sound -l socket-path -r -F -d 'Listen on this socket for a front-end'
complete -c virga-sound -l fd -x -d 'Serve this open socket'
complete -c virga-sound -l one-off -d 'End when the first front-end has left'
complete -c virga-sound -l backend -x -a '(__virga_sound_backends)' -d 'Where sound goes'
complete -c virga-sound -l playback -x -a '0 1 2 4 8' -d 'Devices that play'
complete -c virga-sound -l capture -x -a '0 1 2' -d 'Devices that record'
complete -c virga-sound -l controls -d 'Volume, mute and role in the guest\'s mixer'
complete -c virga-sound -l jacks -d 'The guest sees whether there is a speaker, a microphone'
complete -c virga-sound -l name -x -d 'Of the machine, in the host\'s mixers'
complete -c virga-sound -l media-role -x -a 'Music Movie Game Communication Notification Accessibility Production' -d 'PipeWire\'s role of what is played'
complete -c virga-sound -l target -x -a '(__virga_sound_targets)' -d 'PipeWire node to play to and record from'
complete -c virga-sound -l log -x -a 'err warn info dbg sound:info' -d 'Say more'
complete -c virga-sound -l seccomp -x -a 'kill trap log none' -d 'At a system call that is never needed'
complete -c virga-sound -s v -d 'Like --log=info; twice, like --log=dbg'
complete -c virga-sound -l check -f -a 'qemu libvirt' -d 'Say what works here, and print the lines to use'
complete -c virga-sound -l print-capabilities -d 'Answer a management tool with JSON'
complete -c virga-sound -l version -d 'Print the version'
complete -c virga-sound -l help -d 'List the options'
