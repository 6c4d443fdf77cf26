/** Channel credentials that open no connection any more once they were told to stop. */
export interface ClosingCredentials {
  readonly credentials: unknown;
  readonly stop: () => void;
}

interface SecureConnector {
  waitForReady: () => Promise<void>;
}

interface CredentialsInside {
  _createSecureConnector?: (...args: unknown[]) => SecureConnector;
}

/**
 * A closed grpc channel that had just failed to connect tries once more when its back-off ends (grpc-js 1.14,
 * seen: one or two connections a client stayed open, unused, after each outage). Only what makes its
 * connections can stop it.
 */
export function closingCredentials(credentials: unknown): ClosingCredentials {
  let stopped = false;
  const inside = credentials as CredentialsInside;
  const original = inside._createSecureConnector?.bind(inside);
  const stop = (): void => {
    stopped = true;
  };
  if (original === undefined) return { credentials, stop };
  // Inherits all else, and stays an instance of grpc's own class.
  const closing = Object.create(inside) as CredentialsInside;
  closing._createSecureConnector = (...args) => {
    const connector = original(...args);
    const waitForReady = connector.waitForReady.bind(connector);
    connector.waitForReady = () => (stopped ? Promise.reject(new Error('the channel is closed')) : waitForReady());
    return connector;
  };
  return { credentials: closing, stop };
}
