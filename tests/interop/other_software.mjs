// Other people's verifiers and issuers, driven line by line: each line of stdin is one task as JSON, each line of
// stdout its answer. The first line is what may be loaded: {contexts, schemas, documents}, all by URL or DID.
import { createInterface } from "node:readline";

import { DataIntegrityProof } from "@digitalbazaar/data-integrity";
import * as Ed25519Multikey from "@digitalbazaar/ed25519-multikey";
import { createSignCryptosuite } from "@digitalbazaar/eddsa-jcs-2022-cryptosuite";
import { cryptosuite as rdfc } from "@digitalbazaar/eddsa-rdfc-2022-cryptosuite";
import * as vc from "@digitalbazaar/vc";
import * as verifierCore from "@digitalcredentials/verifier-core";

import { loaderOf, reasons, refuseConnections, verifiers } from "./loading.mjs";

refuseConnections();
console.log = console.error; // stdout is for answers

let documentLoader;

function begin({ contexts, documents, schemas }) {
  documentLoader = loaderOf({ contexts, documents });
  const refuse = globalThis.fetch;
  globalThis.fetch = async (url) => (url in schemas ? new Response(JSON.stringify(schemas[url])) : refuse(url));
  return {};
}

async function signing({ cryptosuite, seed, date }) {
  const pair = await Ed25519Multikey.generate({ seed: Uint8Array.from(Buffer.from(seed, "hex")) });
  pair.id = `did:key:${pair.publicKeyMultibase}#${pair.publicKeyMultibase}`;
  const suite = cryptosuite === "eddsa-jcs-2022" ? createSignCryptosuite() : rdfc;
  return new DataIntegrityProof({ signer: pair.signer(), cryptosuite: suite, date });
}

// The lists of a status entry are not theirs to read here.
const checkStatus = async () => ({ verified: true });

const tasks = {
  async verifyCredential({ credential, now }) {
    const result = await vc.verifyCredential({ credential, now, suite: verifiers(), documentLoader, checkStatus });
    return { verified: result.verified, reasons: reasons(result.error) };
  },
  async verifyPresentation({ presentation, challenge, domain, now }) {
    const asked = { challenge, domain, now };
    const result = await vc.verify({ presentation, ...asked, suite: verifiers(), documentLoader, checkStatus });
    const all = [result.error, ...(result.credentialResults ?? []).map((one) => one.error)];
    return { verified: result.verified, reasons: all.flatMap(reasons) };
  },
  async issue({ credential, now, ...key }) {
    return vc.issue({ credential, now, suite: await signing(key), documentLoader });
  },
  async present({ credentials, holder, challenge, domain, now, ...key }) {
    const presentation = vc.createPresentation({ verifiableCredential: credentials, holder, now });
    return vc.signPresentation({ presentation, challenge, domain, suite: await signing(key), documentLoader });
  },
  // Parsed there, as it would be from a file.
  async verifyText({ text, now }) {
    return tasks.verifyCredential({ credential: JSON.parse(text), now });
  },
  async verifierCore({ credential }) {
    const result = await verifierCore.verifyCredential({ credential, knownDIDRegistries: [] });
    const { log = [], errors = [], additionalInformation = [] } = result;
    return {
      steps: Object.fromEntries(log.map(({ id, valid }) => [id, valid])),
      errors: errors.map(({ name }) => name),
      schemas: additionalInformation.flatMap(({ results }) => results),
    };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const task = JSON.parse(line);
  let answer;
  try {
    answer = { value: documentLoader === undefined ? begin(task) : await tasks[task.do](task) };
  } catch (error) {
    answer = { error: reasons(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
