import assert from "node:assert/strict";
import { test } from "node:test";
import { fromLatin1 } from "../../util/bytes.ts";
import { checkDmarc } from "../dmarc/index.ts";
import { checkIprev } from "../iprev.ts";
import { checkSpf } from "../spf/check.ts";
import { tableDns } from "../testing.ts";
import { arcMethod, dkimMethods, dmarcMethod, iprevMethod, spfMethod } from "./methods.ts";
import { authenticationResultsField } from "./write.ts";

test("what the checks found, as one field", async () => {
  const dns = tableDns({
    "example.com": [{ TXT: "v=spf1 ip4:192.0.2.9 -all" }],
    "_dmarc.example.com": [{ TXT: "v=DMARC1; p=reject" }],
    "9.2.0.192.in-addr.arpa": [{ PTR: "mx.example.com" }],
    "mx.example.com": [{ A: "192.0.2.9" }],
  });
  const spf = await checkSpf({ ip: "192.0.2.9", helo: "mx.example.com", mailFrom: { localPart: "ann", domain: "example.com" } }, dns);
  const signature = {
    result: "fail",
    reason: "the body was changed",
    domain: "example.com",
    selector: "s1",
    algorithm: "rsa-sha256",
    identity: "@example.com",
    signature: "abcdefghijkl",
  };
  const dmarc = await checkDmarc({ author: { kind: "one", domain: "example.com" }, spf, dkim: [] }, dns);
  const iprev = await checkIprev("192.0.2.9", dns);
  const field = authenticationResultsField({
    authservId: "mx.here.test",
    methods: [
      spfMethod(spf),
      ...dkimMethods([signature]),
      arcMethod({ result: "pass", reason: "", oldestPass: 0, remote: "192.0.2.9" }),
      dmarcMethod(dmarc),
      iprevMethod(iprev),
    ],
  });
  assert.equal(
    fromLatin1(field).replaceAll("\r\n\t", " "),
    "Authentication-Results: mx.here.test; spf=pass smtp.mailfrom=ann@example.com; " +
      'dkim=fail reason="the body was changed" header.d=example.com header.s=s1 header.a=rsa-sha256 header.b=abcdefgh; ' +
      "arc=pass header.oldest-pass=0 smtp.remote-ip=192.0.2.9; dmarc=pass header.from=example.com policy.dmarc=reject; " +
      "iprev=pass policy.iprev=192.0.2.9\r\n",
  );
});

test("no signature is dkim=none; a null reverse-path names the EHLO name; a sender outside ASCII its domain", async () => {
  assert.deepEqual(dkimMethods([]), [{ method: "dkim", result: "none", properties: [] }]);
  const dns = tableDns({});
  const ip = "192.0.2.9";
  const helo = await checkSpf({ ip, helo: "mx.example.com", mailFrom: null }, dns);
  assert.deepEqual(spfMethod(helo).properties, [{ type: "smtp", property: "helo", value: "mx.example.com" }]);
  const utf8 = await checkSpf({ ip, helo: "x.test", mailFrom: { localPart: "jürgen", domain: "example.com" } }, dns);
  assert.deepEqual(spfMethod(utf8).properties, [{ type: "smtp", property: "mailfrom", value: "example.com" }]);
});
