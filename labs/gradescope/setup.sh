#!/usr/bin/env bash
# Gradescope runs this once, as root, when the autograder is uploaded: on its
# Ubuntu or on Debian. If it fails, so does the upload, and the log says why.
set -euo pipefail
top=${AUTOGRADER:-/autograder}
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends @PACKAGES@

for tool in gcc ld gdb qemu-system-x86_64; do "$tool" --version | sed 1q; done
dpkg-query -W -f '${Package} ${Version}\n' bochs

# Build the handout once for all submissions, and see that the grader works here.
python3 "$top/source/autograder.py" --prepare "$top"
