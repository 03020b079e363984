/**
 * Asks for what must not stand on a command line.
 *
 * Rules
 * 1. A password is never shown and never an argument: it comes from a terminal without echo, or from standard input.
 */
import { CliError, exitCodes } from "./exit-codes.ts";

/** Octets of standard input that are read where a password is expected. */
const PASSWORD_INPUT_LIMIT = 64 * 1024;

/** The first line of standard input. */
export async function passwordFromInput(): Promise<string> {
  const text = new TextDecoder().decode(await readAll(PASSWORD_INPUT_LIMIT, "the password"));
  const line = /^[^\r\n]*/.exec(text)?.[0] ?? "";
  if (line === "") throw new CliError(exitCodes.data, "standard input holds no password.", "Its first line is taken.");
  return line;
}

/** All of standard input; `what` names it where it is too much. */
export async function readAll(limit: number, what: string): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw new CliError(exitCodes.data, `standard input is longer than ${limit} octets, too long for ${what}.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

/** A line from the terminal, not shown while it is typed. */
export async function askHidden(question: string): Promise<string> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY) {
    throw new CliError(exitCodes.usage, "there is no terminal to ask for the password.", "Give it with --password-stdin.");
  }
  stderr.write(question);
  stdin.setRawMode(true);
  try {
    return await typedLine();
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
}

function typedLine(): Promise<string> {
  const decoder = new TextDecoder();
  return new Promise((resolve, reject) => {
    let typed = "";
    const take = (chunk: Buffer): void => {
      for (const c of decoder.decode(chunk, { stream: true })) {
        if (c === "\r" || c === "\n" || c === "\x04") return end(() => resolve(typed));
        if (c === "\x03") return end(() => reject(new CliError(exitCodes.usage, "given up.")));
        if (c === "\x7f" || c === "\b") typed = [...typed].slice(0, -1).join("");
        else if (c >= " ") typed += c;
      }
    };
    const end = (how: () => void): void => {
      process.stdin.off("data", take);
      how();
    };
    process.stdin.on("data", take);
    process.stdin.resume();
  });
}

/** A new password, asked for twice, or from standard input. */
export async function newPassword(fromInput: boolean): Promise<string> {
  if (fromInput) return passwordFromInput();
  const first = await askHidden("New password: ");
  if (first === "") throw new CliError(exitCodes.data, "an empty password is none.", "Nothing was changed.");
  if ((await askHidden("Once more: ")) !== first) throw new CliError(exitCodes.data, "the two are not the same.", "Nothing was changed.");
  return first;
}

/** Below this length a password is guessed; NIST SP 800-63B 5.1.1.1. */
const SHORT_PASSWORD = 8;

/** What speaks against a password; `undefined` where nothing is seen. */
export function weakness(password: string, name: string): string | undefined {
  if (password.length < SHORT_PASSWORD) return `it has only ${password.length} characters`;
  if (new Set(password).size < 4) return "it repeats a few characters";
  const lower = password.toLowerCase();
  if (lower === name.toLowerCase() || lower === name.toLowerCase().split("@")[0]) return "it is the login name";
  return undefined;
}
