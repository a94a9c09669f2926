// A badge judged by @digitalbazaar/vc alone: node verify_badge.mjs BADGE [DID_DOCUMENT]
// Prints one line and ends with status 0 if it verified, else 1. A status entry is not followed: what it says stands
// on the chain.
import { readFileSync } from "node:fs";

import * as vc from "@digitalbazaar/vc";

import { loaderOf, reasons, refuseConnections, verifiers } from "./loading.mjs";

refuseConnections();
const read = (file) => JSON.parse(readFileSync(file, "utf8"));
const folder = new URL("../../schemas/contexts/", import.meta.url);
const listed = read(new URL("index.json", folder)).contexts;
const contexts = Object.fromEntries(listed.map(({ url, file }) => [url, read(new URL(file, folder))]));
const [badge, ...documents] = process.argv.slice(2).map(read);

const result = await vc.verifyCredential({
  credential: badge,
  suite: verifiers(),
  documentLoader: loaderOf({ contexts, documents: Object.fromEntries(documents.map((one) => [one.id, one])) }),
  checkStatus: async () => ({ verified: true }),
});
console.log(result.verified ? "verified" : `not verified: ${reasons(result.error).join("; ")}`);
process.exitCode = result.verified ? 0 : 1;
