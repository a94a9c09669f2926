// What other people's verifiers may load here: contexts and DID documents that were given, and did:key. A connection
// is an error.
import { Socket } from "node:net";

import { createVerifyCryptosuite as bbs } from "@digitalbazaar/bbs-2023-cryptosuite";
import { DataIntegrityProof } from "@digitalbazaar/data-integrity";
import { createVerifyCryptosuite as ecdsaJcs } from "@digitalbazaar/ecdsa-jcs-2019-cryptosuite";
import { cryptosuite as ecdsaRdfc } from "@digitalbazaar/ecdsa-rdfc-2019-cryptosuite";
import { createVerifyCryptosuite as ecdsaSd } from "@digitalbazaar/ecdsa-sd-2023-cryptosuite";
import { Ed25519Signature2020 } from "@digitalbazaar/ed25519-signature-2020";
import { createVerifyCryptosuite as eddsaJcs } from "@digitalbazaar/eddsa-jcs-2022-cryptosuite";
import { cryptosuite as eddsaRdfc } from "@digitalbazaar/eddsa-rdfc-2022-cryptosuite";

export function refuseConnections() {
  const refuse = (what) => {
    throw new Error(`no connection is opened here: ${what}`);
  };
  Socket.prototype.connect = (...options) => refuse(JSON.stringify(options));
  globalThis.fetch = async (url) => refuse(url);
}

// `expectedPresentationHeader` is for bbs-2023.
export const verifiers = ({ expectedPresentationHeader } = {}) => [
  ...[eddsaRdfc, eddsaJcs(), ecdsaRdfc, ecdsaJcs(), ecdsaSd(), bbs({ expectedPresentationHeader })].map(
    (cryptosuite) => new DataIntegrityProof({ cryptosuite }),
  ),
  new Ed25519Signature2020(),
];

// `contexts` by URL, `documents` by DID.
export function loaderOf({ contexts, documents }) {
  return async (url) => {
    const document = contexts[url] ?? documentOf(url, documents);
    if (document === undefined) {
      throw new Error(`not given: ${url}`);
    }
    return { contextUrl: null, documentUrl: url, document: structuredClone(document), tag: "static" };
  };
}

// A DID document, or the verification method of it that a DID URL names.
function documentOf(url, documents) {
  const [did, fragment] = url.split("#");
  const document = did.startsWith("did:key:") ? didKeyDocument(did) : documents[did];
  return fragment === undefined ? document : document?.verificationMethod.find((method) => method.id === url);
}

export function didKeyDocument(did) {
  const key = did.slice("did:key:".length);
  const id = `${did}#${key}`;
  const relationships = { assertionMethod: [id], authentication: [id] };
  const method = { id, type: "Multikey", controller: did, publicKeyMultibase: key };
  return { "@context": ["https://www.w3.org/ns/did/v1"], id: did, verificationMethod: [method], ...relationships };
}

export const reasons = (error) => (error ? [error.message, ...(error.errors ?? []).flatMap(reasons)] : []);
