import { render } from 'preact';
import { App } from './app.js';
import { openEngine } from './compute/client.js';
import { openAddressStore } from './state.js';
import { applyTheme, savedTheme } from './theme.js';

applyTheme(savedTheme());
const place = document.getElementById('app')!;
place.replaceChildren();
render(<App engine={openEngine()} store={openAddressStore()} />, place);
