// Other people's issuers, holders and verifiers of embedded proofs. The first line is what may be loaded:
// {contexts, schemas, documents}, all by URL or DID.
import * as Bbs2023 from "@digitalbazaar/bbs-2023-cryptosuite";
import * as Bls12381Multikey from "@digitalbazaar/bls12-381-multikey";
import { DataIntegrityProof } from "@digitalbazaar/data-integrity";
import { createSignCryptosuite as ecdsaJcs } from "@digitalbazaar/ecdsa-jcs-2019-cryptosuite";
import * as EcdsaMultikey from "@digitalbazaar/ecdsa-multikey";
import { cryptosuite as ecdsaRdfc } from "@digitalbazaar/ecdsa-rdfc-2019-cryptosuite";
import * as EcdsaSd2023 from "@digitalbazaar/ecdsa-sd-2023-cryptosuite";
import * as Ed25519Multikey from "@digitalbazaar/ed25519-multikey";
import { Ed25519Signature2020 } from "@digitalbazaar/ed25519-signature-2020";
import { createSignCryptosuite as eddsaJcs } from "@digitalbazaar/eddsa-jcs-2022-cryptosuite";
import { cryptosuite as eddsaRdfc } from "@digitalbazaar/eddsa-rdfc-2022-cryptosuite";
import * as vc from "@digitalbazaar/vc";
import * as statusList from "@digitalbazaar/vc-bitstring-status-list";
import * as verifierCore from "@digitalcredentials/verifier-core";

import { serve } from "./line_by_line.mjs";
import { loaderOf, reasons, refuseConnections, verifiers } from "./loading.mjs";

refuseConnections();

let documentLoader;

function begin({ contexts, documents, schemas }) {
  documentLoader = loaderOf({ contexts, documents });
  const refuse = globalThis.fetch;
  globalThis.fetch = async (url) => (url in schemas ? new Response(JSON.stringify(schemas[url])) : refuse(url));
  return {};
}

const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));

// `kind` as in a JWK's `crv`, both halves of the key as hex.
async function signerOf({ kind, secret, publicKey, method }) {
  const raw = { secretKey: bytes(secret), publicKey: bytes(publicKey) };
  let pair;
  if (kind === "Ed25519") {
    pair = await Ed25519Multikey.generate({ seed: raw.secretKey });
  } else if (kind === "BLS12-381 G2") {
    pair = await Bls12381Multikey.fromRaw({ algorithm: Bls12381Multikey.ALGORITHMS.BBS_BLS12381_SHA256, ...raw });
  } else {
    pair = await EcdsaMultikey.fromRaw({ curve: kind, ...raw });
  }
  pair.id = method;
  return pair.signer();
}

const signingSuites = {
  "eddsa-rdfc-2022": () => eddsaRdfc,
  "eddsa-jcs-2022": eddsaJcs,
  "ecdsa-rdfc-2019": () => ecdsaRdfc,
  "ecdsa-jcs-2019": ecdsaJcs,
  "ecdsa-sd-2023": EcdsaSd2023.createSignCryptosuite,
  "bbs-2023": Bbs2023.createSignCryptosuite,
};
const disclosing = {
  "ecdsa-sd-2023": EcdsaSd2023.createDiscloseCryptosuite,
  "bbs-2023": Bbs2023.createDiscloseCryptosuite,
};

// `mandatoryPointers` is for suites with selective disclosure.
async function signing({ cryptosuite, key, date, mandatoryPointers = [] }) {
  const signer = await signerOf(key);
  if (cryptosuite === "Ed25519Signature2020") {
    return new Ed25519Signature2020({ signer, date });
  }
  return new DataIntegrityProof({ signer, cryptosuite: signingSuites[cryptosuite]({ mandatoryPointers }), date });
}

// The lists of a status entry are not theirs to read here.
const checkStatus = async () => ({ verified: true });

const tasks = {
  async verifyCredential({ credential, now, presentationHeader }) {
    const expectedPresentationHeader = presentationHeader === undefined ? undefined : bytes(presentationHeader);
    const suite = verifiers({ expectedPresentationHeader });
    const result = await vc.verifyCredential({ credential, now, suite, documentLoader, checkStatus });
    return { verified: result.verified, reasons: reasons(result.error) };
  },
  async verifyPresentation({ presentation, challenge, domain, now }) {
    const asked = { challenge, domain, now };
    const result = await vc.verify({ presentation, ...asked, suite: verifiers(), documentLoader, checkStatus });
    const all = [result.error, ...(result.credentialResults ?? []).map((one) => one.error)];
    return { verified: result.verified, reasons: all.flatMap(reasons) };
  },
  async issue({ credential, now, ...how }) {
    return vc.issue({ credential, now, suite: await signing(how), documentLoader });
  },
  async derive({ credential, cryptosuite, selectivePointers, presentationHeader = "" }) {
    const options = { selectivePointers, presentationHeader: bytes(presentationHeader) };
    const suite = new DataIntegrityProof({ cryptosuite: disclosing[cryptosuite](options) });
    return vc.derive({ verifiableCredential: credential, suite, documentLoader });
  },
  async present({ credentials, holder, challenge, domain, now, ...how }) {
    const presentation = vc.createPresentation({ verifiableCredential: credentials, holder, now });
    return vc.signPresentation({ presentation, challenge, domain, suite: await signing(how), documentLoader });
  },
  // A list of `length` statuses of one bit, of which those at `indexes` are set.
  async issueList({ id, statusPurpose, length, indexes, members, ...how }) {
    const list = await statusList.createList({ length });
    indexes.forEach((index) => list.setStatus(index, true));
    const credential = { ...(await statusList.createCredential({ id, list, statusPurpose })), ...members };
    return tasks.issue({ credential, ...how });
  },
  // The statuses of `credential`, whose list is the one given.
  async readStatus({ credential, list }) {
    const found = { contextUrl: null, documentUrl: list.id, document: list, tag: "static" };
    const withList = async (url) => (url === credential.credentialStatus.statusListCredential ? found : documentLoader(url));
    const asked = { credential, suite: verifiers(), documentLoader: withList };
    const { verified, results = [], error } = await statusList.checkStatus(asked);
    return { verified, statuses: results.map(({ status }) => status), reasons: reasons(error) };
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

await serve(begin, tasks);
