/** What the tests of DKIM and ARC share: the keys and messages of the RFCs, and a table of keys in place of DNS. */
import { type ArcResult, judgeArc } from "./arc-verify.ts";
import { DkimKey } from "./key.ts";
import { keyName, type TxtAnswer } from "./key-record.ts";
import { keyRecordText } from "./key-tools.ts";
import { readSignedMessage, type SignedMessage } from "./signed-message.ts";
import { type Judgement, judgeMessageSignature } from "./verify.ts";

/** RFC 6376 appendix C. */
export const RFC6376_KEY = `-----BEGIN RSA PRIVATE KEY-----
MIICXwIBAAKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFC
jxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gb
to/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB
AoGBALmn+XwWk7akvkUlqb+dOxyLB9i5VBVfje89Teolwc9YJT36BGN/l4e0l6QX
/1//6DWUTB3KI6wFcm7TWJcxbS0tcKZX7FsJvUz1SbQnkS54DJck1EZO/BLa5ckJ
gAYIaqlA9C0ZwM6i58lLlPadX/rtHb7pWzeNcZHjKrjM461ZAkEA+itss2nRlmyO
n1/5yDyCluST4dQfO8kAB3toSEVc7DeFeDhnC1mZdjASZNvdHS4gbLIA1hUGEF9m
3hKsGUMMPwJBAPW5v/U+AWTADFCS22t72NUurgzeAbzb1HWMqO4y4+9Hpjk5wvL/
eVYizyuce3/fGke7aRYw/ADKygMJdW8H/OcCQQDz5OQb4j2QDpPZc0Nc4QlbvMsj
7p7otWRO5xRa6SzXqqV3+F0VpqvDmshEBkoCydaYwc2o6WQ5EBmExeV8124XAkEA
qZzGsIxVP+sEVRWZmW6KNFSdVUpk3qzK0Tz/WjQMe5z0UunY9Ax9/4PVhp/j61bf
eAYXunajbBSOLlx4D+TunwJBANkPI5S9iylsbLs6NkaMHV6k5ioHBBmgCak95JGX
GMot/L2x0IYyMLAz6oLWh2hm7zwtb0CgOrPo1ke44hFYnfc=
-----END RSA PRIVATE KEY-----
`;

export const RFC6376_RECORD =
  "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";

/** RFC 8463 appendix A: the seed, and the records of both its keys. */
export const RFC8463_SEED = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
export const RFC8463_ED25519_RECORD = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
export const RFC8463_RSA_RECORD =
  "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";

/** Text in which the lines end with LF as octets in which they end with CRLF. */
export function crlf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\r?\n/g, "\r\n")));
}

/** RFC 6376 A.3, with the body of erratum 3192 (one space between the sentences) and the field order of erratum 4926. */
export const RFC6376_MESSAGE = crlf(`DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
      4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game. Are you hungry yet?

Joe.
`);

/** RFC 8463 A.3. */
export const RFC8463_MESSAGE = crlf(`DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`);

/** A message to sign. */
export const MESSAGE = crlf(`From: Alice <alice@example.com>
To: bob@example.net,
\tcarol@example.net
Subject:  Lunch  tomorrow\t
Date: Tue, 1 Jul 2025 10:52:37 +0200
Message-ID: <1@example.com>
X-Other: not signed

See you at  noon.\t

 Alice \t

`);

export const NOW = Date.UTC(2025, 6, 1);

export const rsaKey: DkimKey = new DkimKey({ domain: "example.com", selector: "rsa", privateKey: RFC6376_KEY });
export const edKey: DkimKey = new DkimKey({ domain: "example.com", selector: "ed", privateKey: RFC8463_SEED });

export type Table = Readonly<Record<string, TxtAnswer | string>>;

/** The records of both keys. */
export const KEYS: Table = { [rsaKey.recordName]: keyRecordText(rsaKey), [edKey.recordName]: keyRecordText(edKey) };

export function answerFrom(table: Table, selector: string, domain: string): TxtAnswer {
  const answer = table[keyName(selector, domain)];
  if (typeof answer === "string") return { kind: "found", records: [answer] };
  return answer ?? { kind: "no-domain" };
}

/** Judges every DKIM signature that can be read. */
export function judgeAll(message: SignedMessage, table: Table = KEYS, now: number = NOW): Judgement[] {
  return message.dkim.map((read) => {
    if (!read.ok) return { verdict: read.value.verdict, cause: "unusable-field", reason: read.value.why, key: undefined, body: undefined };
    return judgeMessageSignature(read.value, message, answerFrom(table, read.value.selector, read.value.domain), now);
  });
}

export function verdicts(content: readonly Uint8Array[], table: Table = KEYS, now: number = NOW): string[] {
  return judgeAll(readSignedMessage(content), table, now).map(({ verdict, cause }) => `${verdict} ${cause}`);
}

export function arcOf(content: readonly Uint8Array[], table: Table = KEYS, now: number = NOW): ArcResult {
  return judgeArc(readSignedMessage(content), ({ selector, domain }) => answerFrom(table, selector, domain), now);
}
