/**
 * A message with one large attachment, streamed from a file: `node attachment.ts postrider|nodemailer PORT FILE`; one line of JSON comes out.
 */
import { createTransport as nodemailer } from "nodemailer";
import { attachFile, createTransport } from "../../src/client/index.ts";

const [, , client, port, path = ""] = process.argv;
const message = { from: "a@src.test", to: "b@example.com", subject: "A large one", text: "See the file." };
const before = process.memoryUsage.rss();
const begun = performance.now();
if (client === "nodemailer") {
  await nodemailer({ host: "127.0.0.1", port: Number(port), secure: false, ignoreTLS: true }).sendMail({
    ...message,
    attachments: [{ path }],
  });
} else {
  await using transport = createTransport({ host: "127.0.0.1", port: Number(port), tlsMode: "none" });
  await transport.send({ ...message, attachments: [attachFile(path)] });
}
const seconds = (performance.now() - begun) / 1000;
const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
console.log(
  JSON.stringify({
    rate: 1 / seconds,
    cpu: userCPUTime + systemCPUTime,
    memory: Math.round(maxRSS / 1024),
    before: Math.round(before / 2 ** 20),
  }),
);
