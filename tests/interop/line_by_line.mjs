// Tasks line by line: each line of stdin is one as JSON, each line of stdout its answer. The first line is what
// `begin` is given.
import { createInterface } from "node:readline";

import { reasons } from "./loading.mjs";

export async function serve(begin, tasks) {
  console.log = console.error; // stdout is for answers
  let begun = false;
  for await (const line of createInterface({ input: process.stdin })) {
    const task = JSON.parse(line);
    let answer;
    try {
      answer = { value: begun ? await tasks[task.do](task) : await begin(task) };
    } catch (error) {
      answer = { error: reasons(error) };
    }
    begun = true;
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}
