/**
 * The same small programs with Nodemailer and with `postrider/nodemailer`, against the same server: only the import differs.
 *
 * Rules
 * 1. Compared are what the program is told, the envelope, and the message as a mail reader has it: structure, addresses, texts and contents.
 */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { after, test } from "node:test";
import theirs from "nodemailer";
import PostalMime, { type Email } from "postal-mime";
import { decodeWords } from "../message/decode-words.ts";
import { TestServer, type TestServerOptions } from "../testing/index.ts";
import ours, { type SendMailOptions, type SentMessageInfo, type SmtpOptions } from "./index.ts";
import { structureOf } from "./testing.ts";

type Library = typeof ours;

interface Place {
  readonly options: SmtpOptions;
  readonly server: TestServer;
  readonly folder: string;
}

interface Program {
  readonly name: string;
  readonly server?: TestServerOptions;
  /** Runs with either library; what it gives, if anything, is compared too. */
  run(nodemailer: Library, place: Place): Promise<unknown>;
}

const folder = mkdtempSync(join(tmpdir(), "postrider-"));
after(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, "notes.txt"), "Zeile eins\r\nZeile zwei: Ärger\r\n");
writeFileSync(join(folder, "photo.png"), Buffer.from("89504e470d0a1a0a0001", "hex"));
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }).toString();

const base = { from: "Ann Example <ann@a.test>", to: "bob@b.test", subject: "Hello", text: "Hi Bob." };

/** A program that sends one message. */
const sends = (name: string, message: SendMailOptions | ((place: Place) => SendMailOptions), options: SmtpOptions = {}): Program => ({
  name,
  run: async (nodemailer, place) => {
    const transporter = nodemailer.createTransport({ ...place.options, ...options });
    return shapeOf(await transporter.sendMail({ ...base, ...(typeof message === "function" ? message(place) : message) }));
  },
});

/** A program whose message is refused: the fields of the error are compared. */
const fails = (name: string, message: SendMailOptions, options: SmtpOptions = {}, server: TestServerOptions = {}): Program => ({
  name,
  server,
  run: async (nodemailer, place) => errorOf(nodemailer.createTransport({ ...place.options, ...options }).sendMail({ ...base, ...message })),
});

const refuse = {
  rcpt: (to: string) => (to.startsWith("no") ? "550 5.1.1 No such user" : undefined),
  mail: (from: string) => (from.startsWith("evil") ? "550 5.7.1 Not you" : undefined),
  data: (message: { text(): string }) => (message.text().includes("spam") ? "554 5.6.0 Spam" : undefined),
};

const html = '<p>Hallo <b>Bob</b>, Grüße!</p><img src="cid:logo@a.test">';

const programs: Program[] = [
  sends("a text", {}),
  sends("a text that is not ASCII, and a long subject that is not", {
    text: "Grüße aus Köln\n.\nEnde 😀",
    subject: `Ärger ${"mit Umlauten äöü ".repeat(12)}😀`,
  }),
  sends("HTML alone", { text: undefined, html: "<p>Hello</p>" }),
  sends("text and HTML", { html: "<p>Grüße</p>" }),
  sends("lines that are too long", { text: "x".repeat(3000), html: `<p>${"y".repeat(3000)}</p>` }),
  sends("addresses as texts, objects and lists", {
    from: { name: "Ann, the “first”", address: "ann@a.test" },
    to: ["bob@b.test", { name: "Cät", address: "cat@c.test" }, '"Dan, Jr." <dan@d.test>, eve@e.test'],
    cc: "Fay <fay@f.test>",
    bcc: ["gus@g.test", { name: "", address: "hal@h.test" }],
    replyTo: "Office <office@a.test>, desk@a.test",
    sender: "robot@a.test",
  }),
  sends("a domain outside ASCII", { to: "Bob <bob@bücher.test>" }),
  sends("a thread", {
    messageId: "<3@a.test>",
    inReplyTo: "<2@b.test>",
    references: ["<1@a.test>", "<2@b.test>"],
    date: new Date("2026-02-03T04:05:06Z"),
  }),
  sends("an envelope of its own", { envelope: { from: "bounces@a.test", to: ["x@x.test", "Yan <y@y.test>"], cc: "z@z.test" } }),
  sends("a null reverse-path", { envelope: { from: "", to: "x@x.test" } }),
  sends("attachments from string, Buffer, base64 and hex", {
    attachments: [
      { filename: "a.txt", content: "plain text\r\n" },
      { filename: "b.bin", content: Buffer.from([0, 255, 13, 10]) },
      { filename: "ümlaut größe.pdf", content: "JVBERi0=", encoding: "base64" },
      { filename: "d.dat", content: "00ff", encoding: "hex", contentType: "application/x-own; v=1" },
      { content: "no name", contentType: "text/csv" },
    ],
  }),
  sends("attachments from files", ({ folder: at }) => ({
    attachments: [{ path: join(at, "notes.txt") }, { filename: "named.png", path: join(at, "photo.png") }],
  })),
  sends("an attachment from a stream", () => ({
    attachments: [{ filename: "s.bin", content: Readable.from([Buffer.from("abc"), Buffer.from("def")]) }],
  })),
  sends("an attachment from a data: URI", { attachments: [{ filename: "p.png", path: "data:image/png;base64,iVBORw0=" }] }),
  sends("an image that the HTML shows", ({ folder: at }) => ({
    html,
    attachments: [{ filename: "logo.png", path: join(at, "photo.png"), cid: "logo@a.test" }],
  })),
  sends("an image that the HTML shows, and files beside it", {
    html,
    attachments: [
      { filename: "logo.png", content: "89504e47", encoding: "hex", cid: "logo@a.test" },
      { filename: "a.zip", content: "zip" },
    ],
  }),
  sends("data: images of the HTML", { html: '<p>x</p><img src="data:image/png;base64,iVBORw0KGgo=">', attachDataUrls: true }),
  sends("a message as an attachment", { attachments: [{ contentType: "message/rfc822", content: "Subject: inner\r\n\r\nhello\r\n" }] }),
  sends("a part given whole", {
    attachments: [{ raw: "Content-Type: text/x-raw\r\nContent-Disposition: attachment; filename=r.txt\r\n\r\nraw part" }],
  }),
  sends("an invitation", { icalEvent: { method: "REQUEST", content: "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n" } }),
  sends("AMP and another alternative", {
    html: "<p>x</p>",
    amp: "<!doctype html><html ⚡4email></html>",
    alternatives: [{ contentType: "text/x-web-markdown", content: "**x**" }],
  }),
  sends("a text that is a stream, and an HTML from a file", ({ folder: at }) => ({
    text: Readable.from([Buffer.from("from a stream")]),
    html: { path: join(at, "notes.txt") },
  })),
  sends("base64 for the texts", { text: "Grüße", html: "<p>Grüße</p>", encoding: "base64" }),
  sends("custom headers", {
    headers: { "x-one": "1", "X-Two": ["a", "b"], "X-Umlaut": "Grüße an alle", "x-prepared": { prepared: true, value: "=?utf-8?Q?a?=" } },
  }),
  sends("headers as a list", {
    headers: [
      { key: "X-One", value: "1" },
      { key: "Reply-To", value: "other@a.test" },
    ],
  }),
  sends("list headers", {
    list: {
      help: "admin@a.test?subject=help",
      unsubscribe: [[{ url: "https://a.test/u?id=1", comment: "Leave" }, "leave@a.test"]],
      id: { url: "news.a.test", comment: "Our news" },
    },
  }),
  sends("priority", { priority: "high" }),
  sends("X-Mailer", { xMailer: "Own Mailer 1.0" }),
  sends("a message that is there already", {
    raw: "From: Raw <raw@a.test>\r\nTo: bob@b.test\r\nSubject: raw\r\nMessage-ID: <r@a.test>\r\n\r\nas it is\r\n",
    envelope: { from: "raw@a.test", to: ["bob@b.test"] },
  }),
  sends("a delivery report", { dsn: { id: "id-1", return: "headers", notify: ["failure", "delay"], recipient: "bob@b.test" } }),
  sends("a pool", {}, { pool: true, maxConnections: 1 }),
  sends("everything at once", ({ folder: at }) => ({
    cc: "cc@c.test",
    html,
    icalEvent: "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
    attachments: [
      { path: join(at, "photo.png"), cid: "logo@a.test" },
      { filename: "x.txt", content: "x" },
    ],
    headers: { "X-Y": "z" },
    priority: "low",
  })),
  {
    name: "a pool of one sends in turn, and closes",
    run: async (nodemailer, { options }) => {
      const transporter = nodemailer.createTransport({ ...options, pool: true, maxConnections: 1 });
      const infos = [];
      for (let i = 0; i < 3; i++) infos.push(await transporter.sendMail({ ...base, subject: `No. ${i}` }));
      transporter.close();
      return infos.map(shapeOf);
    },
  },
  {
    name: "defaults",
    run: async (nodemailer, { options }) => {
      const transporter = nodemailer.createTransport(options, {
        from: "default@a.test",
        headers: { "X-D": "1", "X-E": "2" },
        subject: "default",
      });
      return shapeOf(await transporter.sendMail({ to: "bob@b.test", text: "x", headers: { "X-E": "own" } }));
    },
  },
  {
    name: "a callback",
    run: (nodemailer, { options }) =>
      new Promise((resolve, reject) => {
        nodemailer.createTransport(options).sendMail(base, (error, info) => (error ? reject(error) : resolve(shapeOf(info))));
      }),
  },
  {
    name: "a URL, and TLS from the first byte",
    server: { tls: "implicit", users: { "u@a.test": "p:@/" } },
    run: async (nodemailer, { server }) => {
      const transporter = nodemailer.createTransport(
        `smtps://u%40a.test:p%3A%40%2F@localhost:${server.port}/?tls.rejectUnauthorized=false`,
      );
      assert.equal(await transporter.verify(), true);
      return shapeOf(await transporter.sendMail(base));
    },
  },
  {
    name: "a login, and which one was used",
    server: { users: { ann: "pw" } },
    run: async (nodemailer, { options, server }) => {
      for (const method of [undefined, "LOGIN", "PLAIN"]) {
        await nodemailer.createTransport({ ...options, auth: { user: "ann", pass: "pw", method } }).sendMail(base);
      }
      return server.messages.map(({ user }) => user);
    },
  },
  {
    name: "OAuth2 with an access token",
    server: { tokens: { "ann@a.test": "t1" } },
    run: async (nodemailer, { options, server }) => {
      await nodemailer.createTransport({ ...options, auth: { type: "OAuth2", user: "ann@a.test", accessToken: "t1" } }).sendMail(base);
      return server.messages.map(({ user }) => user);
    },
  },
  {
    name: "OAuth2 with a callback for tokens",
    server: { tokens: { "ann@a.test": "t2" } },
    run: async (nodemailer, { options, server }) => {
      const transporter = nodemailer.createTransport({ ...options, auth: { type: "OAuth2", user: "ann@a.test" } });
      transporter.set("oauth2_provision_cb", (user: string, _renew: boolean, callback: (error: null, token: string) => void) =>
        callback(null, user === "ann@a.test" ? "t2" : ""),
      );
      await transporter.sendMail(base);
      return server.messages.map(({ user }) => user);
    },
  },
  {
    name: "auth of a message",
    server: { users: { ann: "pw", bob: "pw2" } },
    run: async (nodemailer, { options, server }) => {
      const transporter = nodemailer.createTransport({ ...options, auth: { user: "ann", pass: "pw" } });
      await transporter.sendMail(base);
      await transporter.sendMail({ ...base, auth: { user: "bob", pass: "pw2" } });
      return server.messages.map(({ user }) => user);
    },
  },
  {
    name: "a compile plugin",
    run: async (nodemailer, { options }) => {
      const transporter = nodemailer.createTransport(options);
      transporter.use("compile", (mail, callback) => {
        mail.resolveContent(mail.data, "html", (error, found) => {
          mail.data.text = String(found).replace(/<[^>]*>/g, "");
          callback(error);
        });
      });
      return shapeOf(await transporter.sendMail({ ...base, text: undefined, html: { content: "<p>from <b>HTML</b></p>" } }));
    },
  },
  {
    name: "a stream plugin",
    run: async (nodemailer, { options }) => {
      const transporter = nodemailer.createTransport(options);
      transporter.use("stream", (mail, callback) => {
        const shout = () =>
          new Transform({
            transform: (chunk: Buffer, _encoding, done) => done(null, chunk.toString("latin1").replace("Hi Bob.", "HI BOB!")),
          });
        mail.message?.transform(shout);
        callback();
      });
      return shapeOf(await transporter.sendMail(base));
    },
  },
  {
    name: "DKIM",
    run: async (nodemailer, { options, server }) => {
      const dkim = { domainName: "a.test", keySelector: "s1", privateKey: rsa };
      await nodemailer.createTransport({ ...options, dkim }).sendMail(base);
      const [, value = ""] = /^DKIM-Signature: ((?:.*\r\n[ \t])*.*)\r\n/m.exec(server.messages[0]?.text() ?? "") ?? [];
      return /\ba=[^;]*/.exec(value)?.[0] + (/\bd=[^;]*/.exec(value)?.[0] ?? "") + (/\bs=[^;]*/.exec(value)?.[0] ?? "");
    },
  },
  {
    name: "streamTransport",
    run: async (nodemailer) => {
      const { envelope, message } = await nodemailer
        .createTransport({ streamTransport: true, buffer: true, newline: "unix" })
        .sendMail(base);
      assert.ok(!message.toString().includes("\r"));
      return { envelope, message: await readerView(message as Buffer) };
    },
  },
  {
    name: "jsonTransport",
    run: async (nodemailer) => {
      const { envelope, message } = await nodemailer.createTransport({ jsonTransport: true }).sendMail({
        ...base,
        messageId: "<1@a.test>",
        cc: ["Cat <cat@c.test>", { name: "Dan", address: "dan@d.test" }],
        html: Buffer.from("<p>x</p>"),
        attachments: [
          { filename: "a.txt", content: "x" },
          { filename: "b.png", content: Buffer.from([1, 2]) },
        ],
        date: new Date(0),
        headers: { "X-A": "1" },
      });
      return { envelope, message: JSON.parse(message as string) as unknown };
    },
  },
  {
    name: "a transport of one's own",
    run: async (nodemailer) => {
      const seen: unknown[] = [];
      const transporter = nodemailer.createTransport({
        name: "own",
        version: "1",
        send: (mail, callback) => {
          const envelope = mail.message?.getEnvelope() ?? { from: "", to: [] };
          seen.push(envelope, mail.data.subject);
          callback(null, { envelope, messageId: "<x@y>" });
        },
      });
      return [await transporter.sendMail(base), seen];
    },
  },
  { ...sends("some recipients refused", { to: "bob@b.test, no@b.test", cc: "nobody@c.test" }), server: { refuse } },
  fails("all recipients refused", { to: "no@b.test, nobody@c.test" }, {}, { refuse }),
  fails("the sender refused", { from: "evil@a.test" }, {}, { refuse }),
  fails("the content refused", { text: "spam" }, {}, { refuse }),
  fails("a wrong password", {}, { auth: { user: "ann", pass: "no", method: "PLAIN" } }, { users: { ann: "pw" } }),
  fails("no login where one is needed", {}, {}, { users: { ann: "pw" } }),
  fails("a certificate that nobody trusts", {}, { tls: {} }),
  fails("no recipients", { to: undefined }),
  fails("a file that is not there", { attachments: [{ path: join(folder, "none") }] }),
  fails("nobody listens", {}, { port: 1 }),
  fails("a signal that was given", { signal: AbortSignal.abort() }),
  fails("too many recipients", { to: ["a@a.test", "b@b.test", "c@c.test"] }, { maxRecipients: 2 }),
  {
    name: "verify fails as sending does",
    server: { users: { ann: "pw" } },
    run: (nodemailer, { options }) =>
      errorOf(nodemailer.createTransport({ ...options, auth: { user: "ann", pass: "no", method: "LOGIN" } }).verify()),
  },
];

for (const program of programs) {
  test(`program: ${program.name}`, async () => {
    const expected = await outcome(program, theirs as unknown as Library);
    const actual = await outcome(program, ours);
    assert.deepEqual(actual, expected);
  });
}

test("there are programs over all features", () => {
  assert.ok(programs.length >= 25);
  assert.equal(new Set(programs.map(({ name }) => name)).size, programs.length);
});

async function outcome(program: Program, library: Library): Promise<unknown> {
  await using server = await TestServer.start(program.server ?? {});
  const options: SmtpOptions = { host: "localhost", port: server.port, tls: { ca: server.certificate } };
  const told = await program.run(library, { options, server, folder });
  const messages = [];
  for (const message of server.messages) {
    const { recipients, ...parameters } = message.parameters;
    messages.push({
      envelope: message.envelope,
      user: message.user,
      ret: parameters.ret,
      envelopeId: parameters.envelopeId,
      notify: recipients.map(({ notify }) => notify && [...notify].sort()),
      message: await readerView(message.content),
    });
  }
  return { told, messages };
}

/** The parts of an info that are the same from one run to the next. */
function shapeOf(info: SentMessageInfo): unknown {
  const { envelope, accepted, rejected, rejectedErrors, response, messageId, ehlo, envelopeTime, messageTime, messageSize } =
    info as never as Record<string, unknown>;
  assert.match(String(messageId), /^<[^@]+@[^@]+>$/);
  for (const number of [envelopeTime, messageTime, messageSize]) assert.equal(typeof number, "number");
  return {
    envelope,
    accepted,
    rejected,
    ehlo,
    response: String(response).replace(/ as \w+$/, ""),
    errors: (rejectedErrors as Error[] | undefined)?.map(fieldsOf),
  };
}

function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => assert.fail("it was sent"),
    (error: Error) => fieldsOf(error),
  );
}

function fieldsOf(error: Error): unknown {
  const { code, command, response, responseCode, permanent, recipient, rejected, rejectedErrors } = error as never as Record<
    string,
    unknown
  >;
  return {
    // An abort has no command there.
    ...(code === "EABORT" ? { name: error.name } : { command }),
    ...{ code, response, responseCode, permanent, recipient, rejected },
    errors: (rejectedErrors as Error[] | undefined)?.map(fieldsOf),
  };
}

/** Fields that either library writes with its own values, or only one writes. */
const ownFields = /^(?:date|message-id|mime-version|content-.*|dkim-signature)$/;

async function readerView(content: Uint8Array): Promise<unknown> {
  const email = await PostalMime.parse(content);
  const { from, sender, to, cc, bcc, replyTo, subject, inReplyTo, references } = email;
  return {
    ...{ from, sender, to, cc, bcc, replyTo, subject, inReplyTo, references },
    text: email.text?.replaceAll("\r\n", "\n").trimEnd(),
    html: email.html?.replace(/cid:[^"]+/g, "cid:").trimEnd(),
    headers: headersOf(email),
    attachments: email.attachments.map((each) => ({
      filename: each.filename?.replace(/^image-/, "image"),
      mimeType: each.mimeType,
      disposition: each.disposition,
      hasCid: each.contentId !== undefined,
      content: Buffer.from(each.content as ArrayBuffer)
        .toString("latin1")
        .trimEnd(),
    })),
    structure: structureOf(content),
  };
}

function headersOf({ headers }: Email): string[] {
  const fields = headers
    .filter(({ key }) => !ownFields.test(key))
    .map(({ key, value }) => `${key}: ${decodeWords(value.replace(/\s+/g, " ")).replaceAll('"', "")}`);
  return fields.sort();
}
