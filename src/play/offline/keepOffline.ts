/**
 * Lets the browser keep this page for visits without a network.
 *
 * @returns whether it is kept; false where the browser or its user does not allow it.
 */
export async function keepOffline(): Promise<boolean> {
  if (!('serviceWorker' in navigator)) return false; // an insecure address, or a private window
  try {
    await navigator.serviceWorker.register(new URL('serviceWorker.js', document.baseURI));
    await navigator.serviceWorker.ready;
    return true;
  } catch {
    return false;
  }
}
