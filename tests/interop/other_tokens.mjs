// Other people's issuers, holders and verifiers of tokens. The first line is {documents}, DID documents by DID, and
// where DIDs are to be read from a chain {ethr: {rpcUrl, chainId, registry}}; else no connection is opened.
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";

import { Decoder, Encoder } from "@blockcerts/lds-merkle-proof-2019";
import { digest, generateSalt } from "@sd-jwt/crypto-nodejs";
import { SDJwtVcInstance } from "@sd-jwt/sd-jwt-vc";
import { EdDSASigner, ES256KSigner, ES256Signer } from "did-jwt";
import {
  createVerifiableCredentialJwt,
  createVerifiablePresentationJwt,
  verifyCredential,
  verifyPresentation,
} from "did-jwt-vc";
import { Resolver } from "did-resolver";

import { serve } from "./line_by_line.mjs";
import { didKeyDocument, refuseConnections } from "./loading.mjs";

let resolver;

async function begin({ documents, ethr }) {
  const given = async (did) => ({
    didDocument: did.startsWith("did:key:") ? didKeyDocument(did) : documents[did],
    didDocumentMetadata: {},
    didResolutionMetadata: {},
  });
  if (ethr === null) {
    refuseConnections();
    resolver = new Resolver({ key: given, example: given });
    return {};
  }
  const { getResolver } = await import("ethr-did-resolver");
  resolver = new Resolver(getResolver({ name: "test", ...ethr }));
  return {};
}

// JWS with Node.js alone: `jwk` holds one or both halves of a P-256 or Ed25519 key.
const options = (key) => (key.asymmetricKeyType === "ec" ? { key, dsaEncoding: "ieee-p1363" } : { key });
const hashOf = (jwk) => (jwk.kty === "EC" ? "sha256" : null);
const jwsSigner = (jwk) => {
  const key = options(createPrivateKey({ key: jwk, format: "jwk" }));
  return async (data) => sign(hashOf(jwk), Buffer.from(data), key).toString("base64url");
};
const jwsVerifier = (jwk) => {
  const key = options(createPublicKey({ key: jwk, format: "jwk" }));
  return async (data, signature) => verify(hashOf(jwk), Buffer.from(data), key, Buffer.from(signature, "base64url"));
};
const algorithm = (jwk) => (jwk.kty === "EC" ? "ES256" : "EdDSA");

const didJwtSigners = { EdDSA: EdDSASigner, ES256: ES256Signer, ES256K: ES256KSigner };
const didJwtIssuer = ({ did, alg, secret }) => {
  const signer = didJwtSigners[alg](Uint8Array.from(Buffer.from(secret, "hex")));
  return { did, alg, signer };
};

const hashing = { hasher: digest, hashAlg: "sha-256", saltGenerator: generateSalt };

const tasks = {
  async issueSdJwt({ claims, frame, jwk, header }) {
    const instance = new SDJwtVcInstance({ ...hashing, signer: jwsSigner(jwk), signAlg: algorithm(jwk) });
    return instance.issue(claims, frame, { header });
  },
  async presentSdJwt({ token, frame, jwk, binding }) {
    const holder = jwk === undefined ? {} : { kbSigner: jwsSigner(jwk), kbSignAlg: algorithm(jwk) };
    const instance = new SDJwtVcInstance({ ...hashing, ...holder });
    return instance.present(token, frame, binding === undefined ? undefined : { kb: { payload: binding } });
  },
  // The key of a binding is the one that the issuer wrote into `cnf`.
  async verifySdJwt({ token, jwk, now, nonce }) {
    const instance = new SDJwtVcInstance({
      ...hashing,
      verifier: jwsVerifier(jwk),
      kbVerifier: async (data, signature, payload) => jwsVerifier(payload.cnf.jwk)(data, signature),
    });
    const { payload, kb } = await instance.verify(token, { currentDate: now, keyBindingNonce: nonce });
    return { payload, binding: kb?.payload ?? null };
  },
  async issueVcJwt({ payload, issuer, header }) {
    return createVerifiableCredentialJwt(payload, didJwtIssuer(issuer), { header });
  },
  async verifyVcJwt({ token, now }) {
    const { verifiableCredential } = await verifyCredential(token, resolver, {
      policies: { now },
      proofPurpose: "assertionMethod",
    });
    return verifiableCredential;
  },
  async presentVcJwt({ payload, holder, header, ...asked }) {
    return createVerifiablePresentationJwt(payload, didJwtIssuer(holder), { header, ...asked });
  },
  async verifyVpJwt({ token, now, challenge, domain }) {
    const options = { challenge, domain, policies: { now }, proofPurpose: "authentication" };
    const { verifiablePresentation } = await verifyPresentation(token, resolver, options);
    return verifiablePresentation;
  },
  encodeMerkleProof: ({ value }) => new Encoder(value).encode(),
  decodeMerkleProof: ({ text }) => new Decoder(text).decode(),
};

await serve(begin, tasks);
