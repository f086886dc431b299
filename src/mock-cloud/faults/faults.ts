import type { EventListener } from "../events.ts";
import { matchRule, type Occasion } from "./match-rule.ts";
import { createRandom } from "./random.ts";
import {
  type FaultKind,
  type FaultOf,
  type FaultRule,
  faultRuleSchema,
  type ResolvedFaultRule,
  type SetFault,
} from "./rule.ts";

interface Entry {
  readonly id: string;
  readonly rule: ResolvedFaultRule;
  readonly random: () => number;
  struck: number;
}

/** The faults that are set. Whoever can fail asks here, at the moment it could; with none set, nothing ever does. */
export class Faults {
  readonly #emit: EventListener;
  #entries: readonly Entry[] = [];
  #count = 0;

  constructor(emit: EventListener) {
    this.#emit = emit;
  }

  /** Sets a fault beside those that are set; the older one strikes first. @throws ZodError */
  set(rule: FaultRule): SetFault {
    const resolved = faultRuleSchema.parse(rule);
    this.#count += 1;
    const entry = { id: `fault_${this.#count}`, rule: resolved, random: createRandom(resolved.seed), struck: 0 };
    this.#entries = [...this.#entries, entry];
    return describe(entry);
  }

  list(): SetFault[] {
    return this.#entries.map(describe);
  }

  /** Takes one back, or all of them. Returns whether there was any. */
  clear(id?: string): boolean {
    const kept = id === undefined ? [] : this.#entries.filter((entry) => entry.id !== id);
    const isAny = kept.length < this.#entries.length;
    this.#entries = kept;
    return isAny;
  }

  /** Whether one of these kinds may strike at all. */
  has(...kinds: readonly FaultKind[]): boolean {
    return this.#entries.some(({ rule }) => kinds.includes(rule.kind));
  }

  /** The fault of one of these kinds that strikes now, if one does. Asking uses it up. */
  strike<Kind extends FaultKind>(kinds: readonly Kind[], occasion: Occasion): FaultOf<Kind> | undefined {
    for (const entry of this.#entries) {
      const { rule } = entry;
      if (!isOneOf(rule, kinds) || !matchRule(rule, occasion)) continue;
      if (rule.probability !== undefined && entry.random() >= rule.probability) continue;
      entry.struck += 1;
      if (rule.times !== undefined && entry.struck >= rule.times) this.clear(entry.id);
      const { cvm = null, method, path, rpcMethod, event } = occasion;
      const where = [method, path, rpcMethod, event].filter((part) => part !== undefined).join(" ");
      this.#emit({ type: "fault.struck", id: entry.id, kind: rule.kind, cvmId: cvm, where });
      return rule;
    }
    return undefined;
  }
}

function isOneOf<Kind extends FaultKind>(rule: ResolvedFaultRule, kinds: readonly Kind[]): rule is FaultOf<Kind> {
  return (kinds as readonly FaultKind[]).includes(rule.kind); // widened to be asked about any kind
}

function describe({ id, rule, struck }: Entry): SetFault {
  return { id, struck, ...rule };
}
