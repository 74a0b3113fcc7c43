# Sourced by the scripts here: find a Python, make the environment, install what is missing. Nothing in it asks a question.

export PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 DEBIAN_FRONTEND=noninteractive

say() { printf '%s\n' "$*" >&2; }

is_root() { [ "$(id -u)" = 0 ]; }

# apt PACKAGE…: install Debian packages, as root only; says what to type otherwise.
apt() {
  if ! is_root || ! command -v apt-get >/dev/null; then
    say "missing: $*; on Debian or Ubuntu: sudo apt-get install $*"
    return 1
  fi
  say "installing $*"
  apt-get -qq update </dev/null || say "apt-get update failed; trying with the package lists there are"
  apt-get -qq -y --no-install-recommends install "$@" </dev/null >/dev/null
}

# fetched NAME PACKAGE…: download Debian packages, with every one they need that is not installed, into .servers/NAME; install nothing,
# for these servers cannot be installed side by side. The tests unpack them (tests/servers/debian.py).
fetched() {
  local place=.servers/$1 wanted
  shift
  if ls "$place"/*.deb >/dev/null 2>&1; then return; fi
  if ! is_root || ! command -v apt-get >/dev/null; then
    say "missing: $*; on Debian, as root, scripts/test --long downloads them"
    return 1
  fi
  say "downloading $*"
  apt-get -qq update </dev/null || say "apt-get update failed; trying with the package lists there are"
  wanted=$(apt-get install --simulate --no-install-recommends "$@" </dev/null 2>/dev/null | awk '/^Inst /{print $2}')
  wanted=$(printf '%s\n' "$@" $wanted | sort -u)
  rm -rf "$place.part"
  mkdir -p "$place.part"
  # shellcheck disable=SC2086  a list of names
  (cd "$place.part" && apt-get -qq download $wanted </dev/null 2>/dev/null) || return 1
  rm -rf "$place"
  mv "$place.part" "$place"
}

python_is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Print the first Python that is new enough: $PYTHON, python3, then the versions by name.
find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.11 python3.12 python3.13 python3.14; do
    if command -v "$candidate" >/dev/null && python_is_new_enough "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  say "mailsync needs Python 3.11 or newer, and none is on the PATH."
  say "On Debian 12 or newer: apt-get install python3 python3-venv. Elsewhere: set PYTHON=/path/to/python3.11 and run this again."
  return 1
}

make_venv() {
  local venv=$1 python
  if [ -x "$venv/bin/python" ] && python_is_new_enough "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    return
  fi
  python=$(find_python)
  say "making $venv with $python"
  if "$python" -m venv --clear "$venv" >/dev/null 2>&1; then return; fi
  # Debian keeps ensurepip in a package of its own.
  apt python3-venv
  "$python" -m venv --clear "$venv"
}

# environment VENV EXTRA: make VENV hold this checkout with its EXTRA (demo, dev), installing only when pyproject.toml has changed since.
environment() {
  local venv=$1 extra=$2 wanted
  make_venv "$venv"
  wanted="$PWD $(cksum <pyproject.toml)"
  if [ "$(cat "$venv/.mailsync-$extra" 2>/dev/null)" = "$wanted" ]; then return; fi
  say "installing mailsync with what its $extra needs into $venv"
  "$venv/bin/python" -m pip install --quiet --editable ".[$extra]" </dev/null
  printf '%s' "$wanted" >"$venv/.mailsync-$extra"
}
