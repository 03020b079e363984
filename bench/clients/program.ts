/**
 * A program that sends many messages and says how long it took: one for each client that is compared.
 *
 * `node postrider.ts P4 PORT COUNT`: a quarter of the count to warm up, then the count; one line of JSON comes out.
 */
export type Kind = "composed" | "raw";

/** Connections, and messages that are handed over at once: both clients get the same. */
export const POOL = 16;
const AT_ONCE = 4 * POOL;

const words = "The quick brown fox jumps over the lazy dog, and nobody asks why. ";
/** About 5 KB of text and 5 KB of HTML. */
export const text = words.repeat(75);
export const html = `<!doctype html><html><body>${`<p>${words}</p>`.repeat(68)}</body></html>`;
/** 10 KB, complete. */
export const raw = `From: a@src.test\r\nTo: b@example.com\r\nSubject: A message\r\nMessage-ID: <1@src.test>\r\n\r\n${`${words}\r\n`.repeat(150)}`;

/** Sends one message; rejects where it was not taken. */
export type Send = (i: number) => Promise<unknown>;

export async function measure(send: Send, close: () => Promise<void> | void): Promise<void> {
  const count = Number(process.argv[4]);
  await sendMany(send, Math.ceil(count / 4));
  const cpu = process.cpuUsage();
  const begun = performance.now();
  await sendMany(send, count);
  const took = performance.now() - begun;
  const { user, system } = process.cpuUsage(cpu);
  await close();
  console.log(
    JSON.stringify({ rate: (count / took) * 1000, cpu: (user + system) / count, memory: Math.round(process.memoryUsage.rss() / 2 ** 20) }),
  );
}

async function sendMany(send: Send, count: number): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await send(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

export const kind: Kind = process.argv[2] === "P5" ? "raw" : "composed";
export const port = Number(process.argv[3]);
