#!/usr/bin/env bash
# Apache with mod_auth_openidc in front of a page: sign in, see who it is, sign out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/python"

work=$(mktemp -d /tmp/tessera-apache.XXXXXX)
trap '[ ! -f "$work/pid" ] || kill "$(cat "$work/pid")"; rm -rf "$work"' EXIT
port=$((30000 + RANDOM % 2000))
origin="http://127.0.0.1:$port"
mkdir -p "$work/htdocs/private"
echo "outside" >"$work/htdocs/index.html"

# Prints client_id and client_secret of a client that is registered for this.
mapfile -t client < <(ORIGIN=$origin "$PYTHON" -c '
import os
from person import register
origin = os.environ["ORIGIN"]
made = register("Apache", "confidential", redirect_uris=[origin + "/private/callback"], post_logout_redirect_uris=[origin + "/index.html"])
print(made["client_id"], made["client_secret"], sep="\n")')

modules=/usr/lib/apache2/modules
cat >"$work/httpd.conf" <<CONF
ServerRoot "$work"
ServerName 127.0.0.1
Listen 127.0.0.1:$port
PidFile "$work/pid"
ErrorLog "$work/error.log"
LogLevel warn
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule authn_core_module $modules/mod_authn_core.so
LoadModule authz_user_module $modules/mod_authz_user.so
LoadModule mime_module $modules/mod_mime.so
LoadModule include_module $modules/mod_include.so
LoadModule auth_openidc_module $modules/mod_auth_openidc.so
TypesConfig /etc/mime.types
User www-data
Group www-data
DocumentRoot "$work/htdocs"
OIDCProviderMetadataURL $ISSUER/.well-known/openid-configuration
OIDCClientID ${client[0]}
OIDCClientSecret ${client[1]}
OIDCRedirectURI $origin/private/callback
OIDCCryptoPassphrase a-passphrase-of-this-check-alone
OIDCScope "openid profile email"
OIDCPKCEMethod S256
OIDCRemoteUserClaim preferred_username
OIDCCookieSameSite On
<Location /private>
    AuthType openid-connect
    Require valid-user
    Options +Includes
    AddOutputFilter INCLUDES .html
</Location>
CONF
echo '<!--#echo var="REMOTE_USER" -->' >"$work/htdocs/private/index.html"
chmod -R a+rX "$work"
/usr/sbin/apache2 -f "$work/httpd.conf" -k start || { cat "$work/error.log" >&2; exit 1; }
ORIGIN=$origin "$PYTHON" apache_flow.py || { cat "$work/error.log" >&2; exit 1; }
