#!/bin/sh
# Claim a pack with curl (7.84 or newer):
#
#     TOKEN=$(claimd dev token --sub ada) examples/claim.sh http://127.0.0.1:8080 spring-5
#
# TOKEN is the identity provider's; or give PASS, where there is one already. Prints the serial of the claim.
set -eu

url=${1:?usage: TOKEN=… claim.sh URL ROUND} round=${2:?usage: TOKEN=… claim.sh URL ROUND}
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# post PATH AUTHORIZATION: sets `status` and `retry_after`; the body is in the file "$answer".
# The person is the idempotency key, so it is always safe to send a request again: curl does so where the connection
# or the answer is lost, and at 429 and 5xx, each time after as many seconds as Retry-After says.
post() {
    status_and_retry=$(curl --silent --show-error --max-time 10 --retry 20 --retry-all-errors --retry-max-time 120 \
        --request POST --header "Authorization: $2" --output "$answer" --write-out '%{http_code} %header{retry-after}' \
        "$url/v1/rounds/$round/$1")
    status=${status_and_retry%% *} retry_after=${status_and_retry#* }
}

# member NAME: the value of a member of the answer. (With jq: jq -r .NAME)
member() {
    printf '%s\n' "$(sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" "$answer")"
}

get_pass() {
    post passes "Bearer ${TOKEN:?is not set: give TOKEN, or PASS}"
    [ "$status" = 201 ] || { echo "no pass: $(member code)" >&2; exit 1; }
    PASS=$(member pass)
}

# The expensive check comes first: long before the opening, if the page is open that long.
[ -n "${PASS:-}" ] || get_pass
renewed=no
while true; do
    post claims "Pass $PASS"
    code=$(member code)
    case $status:$code in
        201:* | 200:*) # 200: the claim that this person has already.
            member serial
            exit 0
            ;;
        409:not_open) # At most a minute at a time: the round may be postponed, or opened earlier.
            [ "$retry_after" -le 60 ] || retry_after=60
            echo "not open yet: asking again in $retry_after s" >&2
            sleep "$retry_after"
            ;;
        401:*) # The eligibility was edited, or the passes revoked: a new pass, once.
            [ "$renewed" = no ] || { echo "no claim: $code" >&2; exit 1; }
            renewed=yes
            get_pass
            ;;
        *)
            echo "no claim: $code" >&2
            exit 1
            ;;
    esac
done
