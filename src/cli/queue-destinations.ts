/** `postrider queue destinations`: where mail is going, how much waits for it, and what is left alone for now. */
import type { DestinationSummary } from "../delivery/delivery.ts";
import { describeReason } from "../mail/outcome.ts";
import { formatSpan } from "../telemetry/event-text.ts";
import { type FolderOptions, withAdministration } from "./admin-access.ts";
import { exitCodes } from "./exit-codes.ts";
import { print, shown, table } from "./terminal.ts";

export async function listDestinations(options: FolderOptions & { readonly json?: boolean }): Promise<number> {
  const all = await withAdministration(options, (admin) => admin.call("queue.destinations", {}));
  if (options.json === true) await print(`${JSON.stringify(all, null, 2)}\n`);
  else if (all.length === 0) await print("no mail is on its way\n");
  else {
    const rows = [...all].sort((a, b) => b.waiting - a.waiting).map((each) => rowOf(each, Date.now()));
    await print(table([["DESTINATION", "PACE", "WAITING", "CONNECTIONS", "STATE"], ...rows], [2]));
  }
  return exitCodes.ok;
}

function rowOf({ destination, pace, waiting, connections, limit, closed }: DestinationSummary, now: number): string[] {
  const state =
    closed === undefined ? "" : `left alone for ${formatSpan(Math.max(0, closed.until - now))}: ${shown(describeReason(closed.why))}`;
  return [shown(destination), pace === destination ? "" : pace, String(waiting), `${connections} of ${limit}`, state];
}
