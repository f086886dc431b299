export const slowRollovers = `
-- Milliseconds that a fault made the operation take longer.
ALTER TABLE operation ADD COLUMN delay_ms INTEGER NOT NULL DEFAULT 0;
`;
