// Claim a pack with fetch (Node 18 or newer; the functions run in a browser, too):
//
//     TOKEN=$(claimd dev token --sub ada) node examples/claim.mjs http://127.0.0.1:8080 spring-5
//
// TOKEN is the identity provider's; or give PASS, where there is one already. Prints the serial of the claim.

const ATTEMPTS = 20;
const TIMEOUT_MS = 10_000;

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** The answer is final: this person gets no claim now. The message is its `code`. */
class NoClaim extends Error {}

/**
 * Status and body of the answer. The person is the idempotency key, so a request may always be sent again: where the
 * connection or the answer is lost, and at 429 and 5xx, when nothing is known to be granted.
 */
async function send(method, url, authorization) {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let seconds = 1;
    try {
      const headers = authorization ? { Authorization: authorization } : {};
      const response = await fetch(url, { method, headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (response.status !== 429 && response.status < 500) {
        return [response.status, await response.json()];
      }
      seconds = Number(response.headers.get("Retry-After") ?? seconds);
      console.error(`${response.status}: asking again`);
    } catch (error) {
      console.error(`no answer (${error.cause?.message ?? error.message}): asking again`);
    }
    // Some chance, so that clients that failed together do not come back together.
    await sleep(seconds + Math.random());
  }
  throw new NoClaim("no answer");
}

/** Return when the round opens by the server's clock; this machine's may be wrong. */
async function opening(round) {
  for (;;) {
    const [status, state] = await send("GET", round);
    if (status !== 200) throw new NoClaim(state.code);
    if (state.status !== "scheduled") return;
    const seconds = (Date.parse(state.opens_at) - Date.parse(state.server_time)) / 1000;
    console.error(`opens in ${seconds.toFixed(1)} s`);
    // At most a minute at a time: the round may be postponed, or opened earlier.
    await sleep(Math.min(60, seconds));
  }
}

async function newPass(round, token) {
  const [status, answer] = await send("POST", `${round}/passes`, `Bearer ${token}`);
  if (status !== 201) throw new NoClaim(answer.code);
  return answer.pass;
}

/** Get a pass, wait for the opening, claim; the claim. Throws NoClaim. */
async function claim(round, token, givenPass) {
  // The expensive check comes first: long before the opening, if the page is open that long.
  let pass = givenPass ?? (await newPass(round, token));
  let renewed = false;
  for (;;) {
    await opening(round);
    const [status, answer] = await send("POST", `${round}/claims`, `Pass ${pass}`);
    // 200: the claim that this person has already.
    if (status === 200 || status === 201) return answer.claim;
    if (status === 401 && !renewed) {
      // The eligibility was edited, or the passes revoked: a new pass, once.
      renewed = true;
      pass = await newPass(round, token);
    } else if (answer.code !== "not_open") {
      throw new NoClaim(answer.code);
    }
  }
}

const [url, roundId] = process.argv.slice(2);
const { TOKEN: token, PASS: givenPass } = process.env;
if (!roundId || !(token || givenPass)) {
  console.error("usage: TOKEN=… node claim.mjs URL ROUND");
  process.exit(2);
}
try {
  console.log((await claim(`${url}/v1/rounds/${roundId}`, token, givenPass || undefined)).serial);
} catch (error) {
  if (!(error instanceof NoClaim)) throw error;
  console.error(`no claim: ${error.message}`);
  process.exitCode = 1;
}
