/** Nodemailer, set up for the same: a pool of as many connections, no TLS, connections that last. */
import { createTransport } from "nodemailer";
import { html, kind, measure, POOL, port, raw, text } from "./program.ts";

const transport = createTransport({
  host: "127.0.0.1",
  port,
  secure: false,
  ignoreTLS: true,
  pool: true,
  maxConnections: POOL,
  maxMessages: 1_000_000,
} as Parameters<typeof createTransport>[0]);
await measure(
  (i) =>
    kind === "raw"
      ? transport.sendMail({ raw, envelope: { from: "a@src.test", to: "b@example.com" } })
      : transport.sendMail({ from: "Ann <a@src.test>", to: "Bob <b@example.com>", subject: `Message ${i}`, text, html }),
  () => transport.close(),
);
