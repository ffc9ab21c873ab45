// Peer: fastify and ioredis, one EVALSHA for each claim. Trusts every identity.
//
//   node server.js PORT SOCKET SCRIPT [--auto-pipelining]
//
// With auto-pipelining ioredis sends the commands of one iteration of the event loop in one write.

import { readFileSync } from 'node:fs';
import Fastify from 'fastify';
import Redis from 'ioredis';

const [port, socket, script, option] = process.argv.slice(2);

const redis = new Redis({ path: socket, enableAutoPipelining: option === '--auto-pipelining' });
redis.defineCommand('claimOne', { numberOfKeys: 2, lua: readFileSync(script, 'utf8') });

const claimSchema = {
  type: 'object',
  properties: {
    claim: {
      type: 'object',
      properties: {
        round: { type: 'string' },
        id: { type: 'string' },
        serial: { type: 'integer' },
        claimed_at: { type: 'string' },
      },
    },
    replayed: { type: 'boolean' },
  },
};

// The prefix of a round's claim ids never changes, so it is read once.
const idPrefixes = new Map();

async function idPrefix(round) {
  let prefix = idPrefixes.get(round);
  if (prefix === undefined) {
    prefix = await redis.hget(`peer:round:${round}`, 'id_prefix');
    idPrefixes.set(round, prefix);
  }
  return prefix;
}

const app = Fastify();

// A claim has no body, but some clients name the type of one.
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', (request, payload, done) => done(null));

app.post(
  '/v1/rounds/:round/claims',
  { schema: { response: { 200: claimSchema, 201: claimSchema } } },
  async (request, reply) => {
    const { round } = request.params;
    const [outcome, stored] = await redis.claimOne(
      `peer:round:${round}`,
      `peer:claims:${round}`,
      request.headers.authorization,
    );
    if (stored === '') {
      const status = outcome === 'round_not_found' ? 404 : 409;
      reply.code(status).type('application/problem+json');
      return JSON.stringify({
        type: `urn:claimd:problem:${outcome}`,
        title: 'Every pack of this round has been claimed.',
        status,
        code: outcome,
      });
    }
    const [serial, claimedAtMs] = stored.split(':');
    const replayed = outcome === 'replayed';
    reply.code(replayed ? 200 : 201);
    return {
      claim: {
        round,
        id: `${await idPrefix(round)}-${serial}`,
        serial: Number(serial),
        claimed_at: new Date(Number(claimedAtMs)).toISOString(),
      },
      replayed,
    };
  },
);

await app.listen({ host: '127.0.0.1', port: Number(port), backlog: 4096 });
