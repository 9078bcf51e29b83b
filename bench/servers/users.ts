// The service that GraphQL is measured with: one thing of ten fields, and a list of a hundred of them.
import { z } from 'zod';
import { defineService } from '../../src/resources/services/define.ts';

const User = z.object({
  id: z.string(),
  name: z.string(),
  email: z.string(),
  age: z.int32(),
  score: z.number(),
  active: z.boolean(),
  city: z.string(),
  country: z.string(),
  joined: z.date(),
  about: z.string(),
});

export const userOf = (id: string) => ({
  id,
  name: 'Ann Example',
  email: 'ann@example.com',
  age: 44,
  score: 1.5,
  active: true,
  city: 'Berlin',
  country: 'DE',
  joined: new Date(1_700_000_000_000),
  about: 'Likes long walks, and "quotes".',
});

export default defineService({
  name: 'bench.v1.Users',
  types: { User },
  methods: {
    Get: {
      input: z.object({ id: z.string().min(1) }),
      output: User,
      idempotency: 'safe',
      handler: ({ id }) => userOf(id),
    },
    List: {
      input: z.object({ first: z.int32().min(1).max(100) }),
      output: z.object({ users: z.array(User) }),
      idempotency: 'safe',
      handler: ({ first }) => ({ users: Array.from({ length: first }, (_, at) => userOf(`u-${at}`)) }),
    },
  },
});
