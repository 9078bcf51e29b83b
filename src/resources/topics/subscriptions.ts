// Who is to get a message of a topic, worked out once a topic and kept until subscriptions change.
import type { Permissions } from '../../core/permissions.ts';
import type { Assurance, Match, Message, SubscribeOptions } from './contract.ts';
import type { Core } from './core.ts';
import { FilterTree } from './tree.ts';

export interface Subscription {
  readonly core: Core;
  readonly options: SubscribeOptions;
  /** False while its history is being given: what is live reaches it by way of the history. */
  live: boolean;
}

/** One subscriber's subscriptions that match a topic, and the ways in which a message can be handed to it. */
export interface Target {
  readonly core: Core;
  readonly subscriptions: readonly Subscription[];
  /** By assurance and retain flag; filled as needed. */
  readonly matches: (Match | undefined)[];
  readonly noLocal: boolean;
  readonly assurance: Assurance;
}

/** Subscriptions of one group with one filter: each message goes to one of them. */
export interface Group {
  readonly name: string;
  readonly members: Target[];
  next: number;
}

export interface Plan {
  readonly epoch: number;
  /** Of the permissions. */
  readonly rules: number;
  readonly targets: readonly Target[];
  readonly groups: readonly Group[];
  readonly durables: boolean;
}

/** Plans that are kept; the oldest half goes when there are more. */
const PLANS_MAX = 16_384;
/** Longer names have no plan kept: so many of them would fill the memory. */
const PLAN_NAME_MAX = 512;

export class Subscriptions {
  readonly tree = new FilterTree<Subscription>();
  private readonly groups = new Map<string, Group>();
  private readonly plans = new Map<string, Plan>();
  private readonly permissions: Permissions;

  constructor(permissions: Permissions) {
    this.permissions = permissions;
  }

  add(subscription: Subscription): void {
    const { filter, group } = subscription.options;
    this.tree.add(filter, subscription);
    if (group === undefined) return;
    const name = groupName(group, filter);
    let shared = this.groups.get(name);
    if (shared === undefined) this.groups.set(name, (shared = { name, members: [], next: 0 }));
    shared.members.push(targetOf([subscription]));
  }

  remove(subscription: Subscription): void {
    const { filter, group } = subscription.options;
    this.tree.remove(filter, subscription);
    if (group === undefined) return;
    const name = groupName(group, filter);
    const shared = this.groups.get(name);
    if (shared === undefined) return;
    const at = shared.members.findIndex((member) => member.subscriptions[0] === subscription);
    if (at >= 0) shared.members.splice(at, 1);
    if (shared.members.length === 0) this.groups.delete(name);
  }

  /** What was worked out is out of date: something else than the tree changed. */
  touch(): void {
    this.tree.epoch++;
  }

  planOf(topic: string): Plan {
    const known = this.plans.get(topic);
    if (known !== undefined && known.epoch === this.tree.epoch && known.rules === this.permissions.epoch) return known;
    if (known === undefined && this.plans.size >= PLANS_MAX) {
      let drop = PLANS_MAX / 2;
      for (const name of this.plans.keys()) {
        if (drop-- === 0) break;
        this.plans.delete(name);
      }
    }
    const plan = this.make(topic);
    if (topic.length <= PLAN_NAME_MAX) this.plans.set(topic, plan);
    return plan;
  }

  private make(topic: string): Plan {
    const found = new Map<Core, Subscription[]>();
    const groups = new Set<Group>();
    let durables = false;
    this.tree.match(topic, (subscription) => {
      const { core, options } = subscription;
      if (!core.hears(topic)) return;
      if (core.lasting && options.assurance > 0) durables = true;
      if (options.group !== undefined) {
        const group = this.groups.get(groupName(options.group, options.filter));
        if (group !== undefined) groups.add(group);
      } else if (subscription.live) {
        const list = found.get(core);
        if (list === undefined) found.set(core, [subscription]);
        else list.push(subscription);
      }
    });
    return {
      epoch: this.tree.epoch,
      rules: this.permissions.epoch,
      targets: [...found.values()].map((list) => targetOf(list)),
      groups: [...groups],
      durables,
    };
  }
}

function groupName(group: string, filter: string): string {
  return `${group}\0${filter}`;
}

function targetOf(subscriptions: readonly Subscription[]): Target {
  return {
    core: subscriptions[0]!.core,
    subscriptions,
    matches: [],
    noLocal: subscriptions.some(({ options }) => options.noLocal === true),
    assurance: Math.max(...subscriptions.map(({ options }) => options.assurance)) as Assurance,
  };
}

/** Whom a group's next message goes to: somebody connected with nothing waiting, if there is one. */
export function pickOf(group: Group, topic: string): Target | null {
  const { members } = group;
  let fallback: Target | null = null;
  for (let step = 0; step < members.length; step++) {
    const at = (group.next + step) % members.length;
    const member = members[at]!;
    if (!member.core.hears(topic)) continue;
    if (member.core.isReady) {
      group.next = at + 1;
      return member;
    }
    if (fallback === null || (!fallback.core.isAttached && member.core.isAttached)) fallback = member;
  }
  group.next = (group.next + 1) % Math.max(1, members.length);
  return fallback;
}

/** How a message reaches a target; null when it is the target's own and wants none of those. */
export function matchOf(target: Target, message: Message, from: Core | null): Match | null {
  const { subscriptions } = target;
  if (target.noLocal && from === target.core) {
    const others = subscriptions.filter(({ options }) => options.noLocal !== true);
    return others.length === 0 ? null : makeMatch(others, message);
  }
  const assurance = Math.min(message.assurance, target.assurance);
  const slot = assurance * 2 + (message.retain ? 1 : 0);
  return (target.matches[slot] ??= makeMatch(subscriptions, message));
}

function makeMatch(subscriptions: readonly Subscription[], message: Message): Match {
  const most = Math.max(...subscriptions.map(({ options }) => options.assurance));
  return {
    assurance: Math.min(message.assurance, most) as Assurance,
    identifiers: subscriptions.map(({ options }) => options.identifier ?? 0).filter((identifier) => identifier > 0),
    filters: subscriptions.map(({ options }) => options.filter),
    retain: message.retain && subscriptions.some(({ options }) => options.retainAsPublished === true),
  };
}

/** How a retained value, or one out of the history, reaches one subscription. */
export function matchAlone(subscription: Subscription, message: Message, retained: boolean): Match {
  const match = makeMatch([subscription], message);
  return retained ? { ...match, retain: true } : match;
}
