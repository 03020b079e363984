/** A conversation typed line by line into an interactive program, waiting for the server's reply to each. */
import { collect, start } from "./programs.ts";
import type { Cleanup } from "./temp-folder.ts";
import { Arrivals } from "./waiting.ts";

export interface TypedConversation {
  /** The next reply, all its lines joined by \n. Lines that are no reply (a program's own words) are passed over. */
  reply(): Promise<string>;
  /** Types a line and waits for the reply to it. */
  type(line: string): Promise<string>;
  /** Types a line that has no reply. */
  typeOn(line: string): void;
  /** Resolves once the program is over, with its exit code. */
  ended: Promise<number | null>;
}

export function typeInto(t: Cleanup, program: string, args: readonly string[]): TypedConversation {
  const child = start(t, program, args);
  const stderr = collect(child.stderr);
  const lines: string[] = [];
  const replies = new Arrivals<string>(() => [...lines, stderr()].join("\n"));
  let rest = "";
  let reply: string[] = [];
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() as string;
    for (const part of parts) {
      const line = part.replace(/\r$/, "");
      lines.push(line);
      if (!/^\d{3}[ -]/.test(line)) continue;
      reply.push(line);
      if (line[3] === "-") continue;
      replies.push(reply.join("\n"));
      reply = [];
    }
  });
  let read = 0;
  let over: Error | undefined;
  const ended = new Promise<number | null>((resolve) => {
    child.on("close", (code) => {
      over = new Error(`${program} ended with ${code}:\n${[...lines, stderr()].join("\n")}`);
      replies.wake();
      resolve(code);
    });
  });
  const next = async (): Promise<string> => {
    read++;
    return (
      await replies.atLeast(
        read,
        `reply ${read}`,
        () => true,
        () => over,
      )
    )[read - 1] as string;
  };
  return {
    reply: next,
    typeOn: (line) => void child.stdin.write(`${line}\n`),
    type(line) {
      child.stdin.write(`${line}\n`);
      return next();
    },
    ended,
  };
}
