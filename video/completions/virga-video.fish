# SPDX-License-Identifier: MIT
# fish completion for virga-video

complete -c virga-video -f
complete -c virga-video -l socket-path -r -F -d 'Listen on this socket for a front-end'
complete -c virga-video -l fd -x -d 'Serve this open socket'
complete -c virga-video -l one-off -d 'End when the first front-end has left'
complete -c virga-video -l device -x -a 'decoder encoder' -d 'What it is'
complete -c virga-video -l dialect -x -a 'auto v3 arcvm android' -d 'How the guest\'s driver speaks'
complete -c virga-video -l codecs -x -a '(__fish_append , h264 hevc vp8 vp9 mpeg2 mpeg4)' -d 'Only these'
complete -c virga-video -l max-memory -x -a '256M 512M 1G 2G' -d 'Memory of a stream\'s codec'
complete -c virga-video -l isolate -x -a 'process none' -d 'Where a stream is decoded'
complete -c virga-video -l log -x -a 'err warn info dbg video:info codec:dbg' -d 'Say more'
complete -c virga-video -l seccomp -x -a 'kill trap log none' -d 'At a system call that is never needed'
complete -c virga-video -s v -d 'Like --log=info; twice, like --log=dbg'
complete -c virga-video -l check -f -a 'qemu libvirt' -d 'Say what works here, and print the lines to use'
complete -c virga-video -l print-capabilities -d 'Answer a management tool with JSON'
complete -c virga-video -l version -d 'Print the version'
complete -c virga-video -l help -d 'List the options'
