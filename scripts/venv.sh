# Sourced by the other scripts: makes a virtual environment on a bare machine and installs into it.

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.11 or newer is needed; set PYTHON to one." >&2
    return 1
}

again() { # again COMMAND...: up to four tries, because networks fail
    local try
    for try in 1 2 3 4; do
        "$@" && return
        [ "$try" = 4 ] || { echo "failed (try $try): $*" >&2; sleep $((try * 5)); }
    done
    return 1
}

make_venv() { # make_venv FOLDER
    local folder=$1 python
    if [ -x "$folder/bin/python" ] && "$folder/bin/python" -m pip --version >/dev/null 2>&1; then return; fi
    python=$(find_python)
    rm -rf "$folder"
    if ! "$python" -m venv "$folder" >/dev/null 2>&1; then
        # Debian keeps ensurepip in a package of its own.
        rm -rf "$folder"
        if ! { "$python" -m venv --without-pip "$folder" && again "$python" -m pip --python "$folder/bin/python" install -q pip; }; then
            if [ "$(id -u)" != 0 ]; then
                echo "'$python -m venv' does not work here: install the package python3-venv." >&2
                return 1
            fi
            again apt-get update -q
            again apt-get install -y -q --no-install-recommends python3-venv python3-pip
            rm -rf "$folder"
            "$python" -m venv "$folder"
        fi
    fi
    # Dependency groups need pip 25.1.
    again "$folder/bin/python" -m pip install -q --disable-pip-version-check --upgrade 'pip>=25.1'
}

install_into() { # install_into FOLDER PIP-ARGUMENTS...: does nothing when the same was installed from the same pyproject.toml
    local folder=$1 stamp
    shift
    stamp=$(cat pyproject.toml - <<<"$PWD $*" | cksum)
    if [ "$(cat "$folder/installed" 2>/dev/null)" = "$stamp" ]; then return; fi
    again "$folder/bin/python" -m pip install -q --disable-pip-version-check "$@"
    echo "$stamp" >"$folder/installed"
}

azurite=3.35.0 # the last one for Node.js 20

install_azurite() { # install_azurite VENV: puts the program azurite-blob beside the Python of a virtual environment
    local folder=$1
    if [ "$(cat "$folder/azurite/installed" 2>/dev/null)" = "$azurite" ]; then return; fi
    if ! command -v npm >/dev/null; then
        if [ "$(id -u)" != 0 ]; then
            echo "npm is needed for Azurite: install Node.js." >&2
            return 1
        fi
        again apt-get update -q
        again apt-get install -y -q --no-install-recommends nodejs npm
    fi
    rm -rf "$folder/azurite"
    mkdir -p "$folder/azurite"
    again npm install --prefix "$folder/azurite" --no-audit --no-fund --ignore-scripts --loglevel=error "azurite@$azurite" >/dev/null
    ln -sf ../azurite/node_modules/.bin/azurite-blob "$folder/bin/azurite-blob"
    echo "$azurite" >"$folder/azurite/installed"
}

install_java() { # install_java: makes sure that there is a Java runtime, which Spark needs
    if command -v java >/dev/null; then return; fi
    if [ "$(id -u)" != 0 ]; then
        echo "A Java runtime (17 or newer) is needed for Spark: install the package default-jre-headless." >&2
        return 1
    fi
    again apt-get update -q
    again apt-get install -y -q --no-install-recommends default-jre-headless
}

install_slurm() { # install_slurm: makes sure that there are the programs of Slurm, of which tests start a cluster of one node
    if [ -x /usr/sbin/slurmctld ] && [ -x /usr/sbin/slurmd ] && [ -x /usr/sbin/munged ] && command -v sbatch >/dev/null; then return; fi
    if [ "$(id -u)" != 0 ]; then
        echo "Slurm is needed for its tests: install the packages slurmctld, slurmd, slurm-client and munge." >&2
        return 1
    fi
    again apt-get update -q
    again apt-get install -y -q --no-install-recommends slurmctld slurmd slurm-client munge
}

# Three at a time on two cores: many tests wait for a process or a server.
run_tests() { # run_tests PYTEST-ARGUMENTS...: side by side; what fails is tried once more, alone, and named if it passes then
    if python -m pytest -n 3 "$@"; then return; fi
    [ -n "$(find .pytest_cache -name lastfailed -size +3c 2>/dev/null)" ] || return 1
    echo "== once more, one at a time: what passes now fails only on a busy machine, and should be made steady"
    python -m pytest -n 0 -v --last-failed --last-failed-no-failures none "$@"
}
