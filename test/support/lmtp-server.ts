/** An LMTP server that takes everything for everyone, a reply for each recipient (RFC 2033). */
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { Cleanup } from "./temp-folder.ts";

export interface LmtpTransaction {
  /** As MAIL declared it. */
  readonly size: number;
  readonly to: readonly string[];
  /** Dots unstuffed, in latin1. */
  readonly text: string;
}

/** Its port; `take` hears of each transaction before it is answered. */
export async function startLmtp(t: Cleanup, take: (transaction: LmtpTransaction) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    serve(socket, take);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function serve(socket: Socket, take: (transaction: LmtpTransaction) => void): void {
  let unread = "";
  let content: string[] | undefined;
  let size = 0;
  let to: string[] = [];
  const answer = (line: string): string => {
    if (/^LHLO /i.test(line)) return "250-box\r\n250-PIPELINING\r\n250-SIZE 100000000\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n";
    if (/^MAIL /i.test(line)) size = Number(/ SIZE=(\d+)/.exec(line)?.[1]);
    else if (/^RCPT /i.test(line)) to.push(/<(.*)>/.exec(line)?.[1] ?? "");
    else if (/^DATA$/i.test(line)) {
      content = [];
      return "354 Go on\r\n";
    } else if (/^QUIT$/i.test(line)) return "221 2.0.0 Bye\r\n";
    return "250 2.0.0 OK\r\n";
  };
  const line = (text: string): string => {
    if (content === undefined) return answer(text);
    if (text !== ".") {
      content.push(`${text.replace(/^\./, "")}\r\n`);
      return "";
    }
    take({ size, to, text: content.join("") });
    const replies = "250 2.1.5 Kept\r\n".repeat(to.length);
    content = undefined;
    to = [];
    return replies;
  };
  socket.write("220 box LMTP\r\n");
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => {
    const lines = (unread + chunk).split("\r\n");
    unread = lines.pop() ?? "";
    const replies = lines.map(line).join("");
    if (replies !== "") socket.write(replies);
  });
}
