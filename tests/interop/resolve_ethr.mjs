// Resolves did:ethr URLs with npm's ethr-did-resolver. One JSON object comes on stdin:
// {rpcUrl, chainId, registry, now, urls}; the results go to stdout in the order of the URLs.
import { text } from "node:stream/consumers";

const job = JSON.parse(await text(process.stdin));

// The resolver judges the newest document by the clock, so the test sets it.
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...parts) {
    super(...(parts.length === 0 ? [job.now * 1000] : parts));
  }
};

const { Resolver } = await import("did-resolver");
const { getResolver } = await import("ethr-did-resolver");
const { rpcUrl, chainId, registry } = job;
const resolver = new Resolver(getResolver({ name: "test", rpcUrl, chainId, registry }));
const results = [];
for (const url of job.urls) {
  results.push(await resolver.resolve(url));
}
process.stdout.write(JSON.stringify(results), () => process.exit(0));
