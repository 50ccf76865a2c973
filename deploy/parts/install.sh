#!/usr/bin/env bash
# Installs the real parts that tests run against, those that are missing: Debian packages for Prometheus,
# Alertmanager, Chromium, Java and Maven; Apache Kafka from its Maven artifact. Starts none of them.
set -euo pipefail
cd "$(dirname "$0")/../.."

jars=.parts/kafka
pom=deploy/kafka/pom.xml

fail() {
    echo "make parts: $1" >&2
    exit 2
}

has() {
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null && return
    done
    return 1
}

has_java() {
    local version
    version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p') || return 1
    [[ -n $version && $version -ge 17 ]]
}

has_venv() {
    [[ -x .venv/bin/python ]] || python3 -c 'import ensurepip' 2>/dev/null
}

missing_packages() {
    has prometheus || echo prometheus
    has prometheus-alertmanager alertmanager || echo prometheus-alertmanager
    has chromium chromium-browser google-chrome || echo chromium
    has_java || echo default-jdk-headless
    has mvn || echo maven
    has_venv || echo python3-venv
}

as_root() {
    if [[ $EUID -eq 0 ]]; then "$@"; else sudo --non-interactive "$@"; fi
}

# Debian starts a service when its package is installed, unless this file says that nothing may be started.
forbid_services() {
    local policy=/usr/sbin/policy-rc.d
    [[ -e $policy ]] && return
    trap "as_root rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
}

install_packages() {
    has apt-get || fail "this machine has no apt-get; install by hand what it lacks: $*"
    [[ $EUID -eq 0 ]] || sudo --non-interactive true 2>/dev/null ||
        fail "installing Debian packages needs root; run as root: apt-get install --no-install-recommends $*"
    echo "make parts: installing Debian packages: $*"
    forbid_services
    as_root apt-get update -qq || fail "apt-get update failed; is the package mirror reachable?"
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null ||
        fail "apt-get could not install: $*"
    if [[ -d /run/systemd/system ]]; then
        local service
        for service in prometheus prometheus-alertmanager; do
            [[ " $* " != *" $service "* ]] || as_root systemctl --quiet disable "$service"
        done
    fi
}

install_kafka() {
    cmp -s "$pom" "$jars/pom.xml" && return
    echo "make parts: fetching Apache Kafka into $jars"
    rm -rf "$jars.new"
    mkdir -p "$jars.new"
    mvn --batch-mode --quiet --file "$pom" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$PWD/$jars.new" </dev/null |
        sed 's/\x1b\[[0-9;]*m//g' ||
        fail "Maven could not fetch Apache Kafka; is the artifact repository reachable?"
    cp "$pom" "$jars.new/pom.xml"
    rm -rf "$jars"
    mv "$jars.new" "$jars"
}

mapfile -t packages < <(missing_packages)
[[ ${#packages[@]} -eq 0 ]] || install_packages "${packages[@]}"
has_java || fail "$(command -v java) is older than Java 17; put a newer one on the path"
install_kafka
echo "make parts: all there: $(cd "$jars" && echo kafka_2.13-*.jar), Prometheus, Alertmanager, Chromium, Java, Maven"
