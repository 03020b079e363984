/**
 * `postrider suppression`: addresses that an account may not send to any more.
 *
 * Rules
 * 1. The list is kept whether or not the configuration heeds it; `[suppression]` says for which accounts it does.
 */
import type { Suppression } from "../queue/suppression.ts";
import { type FolderOptions, withAdministration } from "./admin-access.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { untilOf } from "./spans.ts";
import { print, shown, table } from "./terminal.ts";

interface ListOptions extends FolderOptions {
  readonly json?: boolean;
  readonly account?: string;
  readonly limit: number;
}

interface EntryOptions extends FolderOptions {
  readonly json?: boolean;
  readonly account: string;
}

export async function listSuppressions({ account, limit, ...options }: ListOptions): Promise<number> {
  const of = account === undefined ? {} : { account };
  const all = await withAdministration(options, (admin) => admin.call("suppression.list", { limit, ...of }));
  if (options.json === true) await print(`${JSON.stringify(all, null, 2)}\n`);
  else if (all.length === 0) await print("nothing is suppressed\n");
  else await print(table([["ACCOUNT", "ADDRESS", "SINCE", "UNTIL", "REASON"], ...all.map(row)]));
  return exitCodes.ok;
}

export async function addSuppression(
  mailbox: string,
  options: EntryOptions & { readonly reason?: string; readonly for?: string },
): Promise<number> {
  const { account, reason = "added by the postmaster" } = options;
  const params = { account, mailbox, reason, ...untilOf(options) };
  const added = await withAdministration(options, (admin) => admin.call("suppression.add", params));
  if (options.json === true) await print(`${JSON.stringify(added, null, 2)}\n`);
  else await print(`${shown(added.account)} may not send to ${shown(added.mailbox)} ${untilText(added)}\n`);
  return exitCodes.ok;
}

export async function removeSuppression(mailbox: string, { account, ...options }: EntryOptions): Promise<number> {
  const { removed } = await withAdministration(options, (admin) => admin.call("suppression.remove", { account, mailbox }));
  if (!removed) {
    const list = `\`postrider suppression list --account ${shown(account)}\` shows what is.`;
    throw new CliError(exitCodes.noInput, `${shown(mailbox)} is not suppressed for ${shown(account)}.`, list);
  }
  if (options.json === true) await print(`${JSON.stringify({ removed }, null, 2)}\n`);
  else await print(`${shown(account)} may send to ${shown(mailbox)} again\n`);
  return exitCodes.ok;
}

/** The exit code is 67 where it is suppressed. */
export async function checkSuppression(mailbox: string, { account, ...options }: EntryOptions): Promise<number> {
  const { suppression } = await withAdministration(options, (admin) => admin.call("suppression.check", { account, mailbox }));
  if (options.json === true) await print(`${JSON.stringify(suppression ?? null, null, 2)}\n`);
  else if (suppression === undefined) await print(`${shown(mailbox)} is not suppressed for ${shown(account)}\n`);
  else await print(`${shown(suppression.mailbox)} is suppressed ${untilText(suppression)}: ${shown(suppression.reason)}\n`);
  return suppression === undefined ? exitCodes.ok : exitCodes.noUser;
}

function row(suppression: Suppression): string[] {
  const { account, mailbox, made, reason } = suppression;
  const end = suppression.until === undefined ? "removed" : day(suppression.until);
  return [shown(account), shown(mailbox), day(made), end, shown(reason)];
}

function untilText({ until }: Suppression): string {
  return until === undefined ? "until it is removed from the list" : `until ${day(until)}Z`;
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16);
}
