// How long other people's software takes, timed where it runs. The first line is {contexts, now}. `keep` takes the
// items of a work and gives a number for them, `time` does the work with each of them: seconds, in their order.
import * as Bbs2023 from "@digitalbazaar/bbs-2023-cryptosuite";
import * as bbs from "@digitalbazaar/bbs-signatures";
import { DataIntegrityProof } from "@digitalbazaar/data-integrity";
import * as EcdsaSd2023 from "@digitalbazaar/ecdsa-sd-2023-cryptosuite";
import { cryptosuite as eddsaRdfc } from "@digitalbazaar/eddsa-rdfc-2022-cryptosuite";
import { createVerifyCryptosuite as eddsaJcs } from "@digitalbazaar/eddsa-jcs-2022-cryptosuite";
import * as vc from "@digitalbazaar/vc";

import { serve } from "./line_by_line.mjs";
import { loaderOf, refuseConnections } from "./loading.mjs";

refuseConnections();

let documentLoader;
let now;
const kept = [];

function begin(told) {
  documentLoader = loaderOf({ contexts: told.contexts, documents: {} });
  now = new Date(told.now);
  return {};
}

const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const ciphersuite = bbs.CIPHERSUITES.BLS12381_SHA256;
const asBytes = ({ messages, indexes, ...hex }) => ({
  ...Object.fromEntries(Object.entries(hex).map(([name, value]) => [name, bytes(value)])),
  messages: messages.map(bytes),
  disclosedMessageIndexes: indexes,
  disclosedMessages: indexes.map((index) => bytes(messages[index])),
  ciphersuite,
});

// One suite each, as who expects one would write it.
const verifying = (cryptosuite) => async (text) => {
  const suite = new DataIntegrityProof({ cryptosuite: cryptosuite() });
  const result = await vc.verifyCredential({ credential: JSON.parse(text), now, suite, documentLoader });
  if (!result.verified) {
    throw result.error;
  }
};

const works = {
  "eddsa-rdfc-2022": verifying(() => eddsaRdfc),
  "eddsa-jcs-2022": verifying(eddsaJcs),
  "ecdsa-sd-2023": verifying(EcdsaSd2023.createVerifyCryptosuite),
  "bbs-2023": verifying(Bbs2023.createVerifyCryptosuite),
  "ecdsa-sd-2023 derive": async ({ text, selectivePointers }) => {
    const cryptosuite = EcdsaSd2023.createDiscloseCryptosuite({ selectivePointers });
    const suite = new DataIntegrityProof({ cryptosuite });
    await vc.derive({ verifiableCredential: JSON.parse(text), suite, documentLoader });
  },
  "bbs sign": (given) => bbs.sign(given),
  "bbs verify": async (given) => good(await bbs.verifySignature(given)),
  "bbs derive": (given) => bbs.deriveProof(given),
  "bbs proof verify": async (given) => good(await bbs.verifyProof(given)),
};

function good(verified) {
  if (!verified) {
    throw new Error("it does not verify there");
  }
}

const tasks = {
  keep({ work, items }) {
    kept.push(work.startsWith("bbs ") ? items.map(asBytes) : items);
    return kept.length - 1;
  },
  async time({ work, name }) {
    const taken = [];
    for (const item of kept[name]) {
      const started = performance.now();
      await works[work](item);
      taken.push((performance.now() - started) / 1000);
    }
    return taken;
  },
};

await serve(begin, tasks);
