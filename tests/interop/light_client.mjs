// Blocks and states of the consensus layer, by Lodestar's types: whole ones, of which a light client is shown branches.
// The first line is {}.
import { Tree } from "@chainsafe/persistent-merkle-tree";
import { ssz } from "@lodestar/types";

import { serve } from "./line_by_line.mjs";
import { refuseConnections } from "./loading.mjs";

const hex = (bytes) => `0x${Buffer.from(bytes).toString("hex")}`;
const bytes = (text) => Uint8Array.from(Buffer.from(text.slice(2), "hex"));

// The branch from what stands at `path` of a value, as a view of its tree, to the root.
const branch = (type, view, path) =>
  new Tree(view.node).getSingleProof(type.getPathInfo(path).gindex).map(hex);

// Blank states, whose nodes are hashed once.
const blanks = {};
const blank = (fork) => (blanks[fork] ??= hashed(ssz[fork].BeaconState.defaultViewDU()));
function hashed(view) {
  view.hashTreeRoot();
  return view;
}

async function begin() {
  refuseConnections();
  return {};
}

const tasks = {
  // The root of a value that is written as the Beacon API writes it.
  root: ({ fork, type, value }) => hex(ssz[fork][type].hashTreeRoot(ssz[fork][type].fromJson(value))),

  // What the value is when it is written again.
  again: ({ fork, type, value }) => ssz[fork][type].toJson(ssz[fork][type].fromJson(value)),

  // A block's body with this execution payload, whose fields are those of its header: what a header says of it.
  body({ fork, header }) {
    const types = ssz[fork];
    const payload = { ...types.ExecutionPayload.defaultValue(), ...types.ExecutionPayloadHeader.fromJson(header) };
    delete payload.transactionsRoot;
    delete payload.withdrawalsRoot;
    const body = types.BeaconBlockBody.toView({ ...types.BeaconBlockBody.defaultValue(), executionPayload: payload });
    const lists = {
      transactionsRoot: ssz.bellatrix.Transactions.hashTreeRoot(payload.transactions),
      withdrawalsRoot: ssz.capella.Withdrawals.hashTreeRoot(payload.withdrawals),
    };
    const ofHeader = types.ExecutionPayloadHeader.toJson({ ...payload, ...lists });
    const proof = branch(types.BeaconBlockBody, body, ["executionPayload"]);
    return { header: ofHeader, branch: proof, root: hex(body.hashTreeRoot()) };
  },

  // A state with these committees, which calls the block `finalized` final.
  state({ fork, finalized, current, next }) {
    const type = ssz[fork].BeaconState;
    const state = blank(fork).clone();
    state.finalizedCheckpoint = ssz.phase0.Checkpoint.toViewDU({ epoch: 3, root: bytes(finalized) });
    state.currentSyncCommittee = ssz.altair.SyncCommittee.toViewDU(ssz.altair.SyncCommittee.fromJson(current));
    state.nextSyncCommittee = ssz.altair.SyncCommittee.toViewDU(ssz.altair.SyncCommittee.fromJson(next));
    state.commit();
    return {
      root: hex(state.hashTreeRoot()),
      finalized: branch(type, state, ["finalizedCheckpoint", "root"]),
      current: branch(type, state, ["currentSyncCommittee"]),
      next: branch(type, state, ["nextSyncCommittee"]),
    };
  },

  // What a committee signs.
  signing: ({ root, version, genesis }) => {
    const data = ssz.phase0.ForkData.hashTreeRoot({
      currentVersion: bytes(version),
      genesisValidatorsRoot: bytes(genesis),
    });
    const domain = Uint8Array.from([7, 0, 0, 0, ...data.slice(0, 28)]);
    return hex(ssz.phase0.SigningData.hashTreeRoot({ objectRoot: bytes(root), domain }));
  },
};

await serve(begin, tasks);
