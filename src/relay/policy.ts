/**
 * The rules of the three ports: who may send, from where, to whom.
 *
 * Rules
 * 1. On 25 mail is taken for our own domains alone, and there for addresses that exist: no open relay.
 * 2. On submission the reverse-path is `<>` (RFC 6409 3.2: receipts) or an address that the account owns.
 * 3. Headers are not looked at: the envelope alone says where mail goes.
 * 4. An account may be kept from addresses that were refused before (suppressing.ts).
 * 5. An address with another's name in it (VERP) is its list's; one that we have rewritten (SRS) leads back to the sender it was made of.
 */
import type { Srs } from "../authentication/index.ts";
import { domainKey } from "../mail/domain.ts";
import { formatReversePath, type Recipient } from "../mail/envelope.ts";
import { formatMailbox, type Mailbox, mailboxKey, plainLocalPart } from "../mail/mailbox.ts";
import { reply } from "../mail/reply.ts";
import { parseVerpAddress } from "../mail/verp.ts";
import type { MailCommand } from "../protocol/server-session.ts";
import { accept, type Decision, type Peer, type Policy, type RcptDecision, refuse } from "../server/policy.ts";
import { type Clock, systemClock } from "../util/clock.ts";
import type { Suppressing } from "./suppressing.ts";

/** What accounts are asked; answered from memory. */
export interface Directory {
  /** Whether the account may send as this address. */
  owns(account: string, mailbox: Mailbox): boolean | Promise<boolean>;
  /** Whether the address is one of any account's. */
  isRecipient(mailbox: Mailbox): boolean | Promise<boolean>;
}

export interface LocalDomains {
  /** Domain keys. */
  readonly local: ReadonlySet<string>;
  /** Mailbox keys that exist beside the accounts' own. */
  readonly recipients: ReadonlySet<string>;
  /** Domain keys of which every local part exists. */
  readonly anyRecipient: ReadonlySet<string>;
  readonly postmaster: Mailbox | undefined;
}

export interface RelayPolicyOptions {
  readonly srs?: Srs;
  readonly suppressing?: Pick<Suppressing, "rcpt">;
  readonly clock?: Clock;
}

const notOwned = reply(553, "5.7.1", "This account may not send from that address");
const relayingDenied = reply(550, "5.7.1", "Relaying denied");
const noSuchUser = reply(550, "5.1.1", "No such user here");

export class RelayPolicy implements Policy {
  readonly #domains: LocalDomains;
  readonly #directory: Directory;

  readonly #srs: Srs | undefined;
  readonly #clock: Clock;
  readonly #suppressing: Pick<Suppressing, "rcpt"> | undefined;

  constructor(domains: LocalDomains, directory: Directory, { srs, clock = systemClock, suppressing }: RelayPolicyOptions = {}) {
    this.#suppressing = suppressing;
    this.#domains = domains;
    this.#directory = directory;
    this.#srs = srs;
    this.#clock = clock;
  }

  mail(peer: Peer, mail: MailCommand): Decision | Promise<Decision> {
    const { account } = peer;
    const { reversePath } = mail;
    if (account === undefined || reversePath === null) return accept;
    const judge = (owns: boolean): Decision =>
      owns
        ? accept
        : refuse(notOwned, `${account} does not own ${formatReversePath(reversePath)}: add it with \`postrider user add --address\``);
    const list = parseVerpAddress(reversePath)?.list;
    const own = this.#directory.owns(account, reversePath);
    const owns = list === undefined || own === true ? own : either(own, () => this.#directory.owns(account, list));
    return typeof owns === "boolean" ? judge(owns) : owns.then(judge);
  }

  rcpt(peer: Peer, mail: MailCommand, recipient: Recipient): RcptDecision | Promise<RcptDecision> {
    const { mailbox } = recipient;
    if (this.#isPostmaster(mailbox)) return this.#postmaster(recipient);
    if (this.#srs?.isRewritten(mailbox)) return this.#takeBack(this.#srs, mail, recipient);
    if (peer.account !== undefined) return this.#suppressing?.rcpt(peer.account, mailbox) ?? accept;
    const key = domainKey(mailbox.domain);
    if (!this.#domains.local.has(key)) {
      return refuse(relayingDenied, `${peer.address} may not send to ${key}: it is not in domains.local, and on 25 nobody logs in`);
    }
    if (this.#domains.anyRecipient.has(key) || this.#domains.recipients.has(mailboxKey(mailbox))) return accept;
    const judge = (known: boolean): Decision =>
      known ? accept : refuse(noSuchUser, `${formatMailbox(mailbox)} is neither an account's address nor in domains.recipients`);
    const list = parseVerpAddress(mailbox)?.list;
    if (list !== undefined && this.#domains.recipients.has(mailboxKey(list))) return accept;
    const direct = this.#directory.isRecipient(mailbox);
    const known = list === undefined || direct === true ? direct : either(direct, () => this.#directory.isRecipient(list));
    return typeof known === "boolean" ? judge(known) : known.then(judge);
  }

  /** A report about mail that we have forwarded goes back to who sent it. Only a report: others have no business with that address. */
  #takeBack(srs: Srs, { reversePath }: MailCommand, recipient: Recipient): RcptDecision {
    const address = formatMailbox(recipient.mailbox);
    if (reversePath !== null) return refuse(noSuchUser, `${address} takes reports alone, from <>`);
    const reversed = srs.reverse(recipient.mailbox, this.#clock.now());
    if (reversed.kind === "refused") return refuse(noSuchUser, `${address}: ${reversed.why}`);
    return { kind: "accept", as: { ...recipient, mailbox: reversed.mailbox } };
  }

  /** RFC 5321 4.5.1: every server takes mail for its postmaster, named with a domain of ours or with none. */
  #isPostmaster({ localPart, domain }: Mailbox): boolean {
    return plainLocalPart(localPart).toLowerCase() === "postmaster" && (domain === "" || this.#domains.local.has(domainKey(domain)));
  }

  #postmaster(recipient: Recipient): RcptDecision {
    const { postmaster, local } = this.#domains;
    const [home] = local;
    const mailbox =
      postmaster ??
      (recipient.mailbox.domain !== "" ? recipient.mailbox : home === undefined ? undefined : { localPart: "postmaster", domain: home });
    if (mailbox === undefined)
      return refuse(noSuchUser, "no domains.postmaster is set and no domain is local: there is nobody to give it to");
    return { kind: "accept", as: { ...recipient, mailbox } };
  }
}

type Answer = boolean | Promise<boolean>;

function either(first: Answer, second: () => Answer): Answer {
  return typeof first === "boolean" ? first || second() : first.then((yes) => yes || second());
}
