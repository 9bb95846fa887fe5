import { chromium } from 'playwright-core';
import { build } from 'esbuild';
import { writeFileSync, mkdirSync } from 'node:fs';
import { serve } from '/work/main/test/browser/server.ts';
mkdirSync('/tmp/dbgp',{recursive:true});
await build({ entryPoints: [process.argv[2]], outdir:'/tmp/dbgp', entryNames:'page', bundle:true, splitting:true, format:'esm', platform:'browser', minify: !!process.env.MIN, absWorkingDir:'/work/main' });
writeFileSync('/tmp/dbgp/index.html','<!doctype html><script type="module" src="page.js"></script>');
const server = await serve({ page:'/tmp/dbgp', demo:'/work/main/models/demo', golden:'/work/main/golden/fixtures' });
const browser = await chromium.launch({ executablePath:'/usr/bin/chromium', args:['--no-sandbox','--disable-background-networking','--enable-unsafe-webgpu','--enable-unsafe-swiftshader','--use-webgpu-adapter=swiftshader','--use-angle=swiftshader','--ignore-gpu-blocklist'] });
const page = await browser.newPage();
page.on('console', m => console.log(m.text()));
page.on('pageerror', e => console.log('ERR', e.message, e.stack));
await page.goto(server.url + '/page/index.html');
try { console.log(JSON.stringify(await page.evaluate('main()'), null, 1)); } catch (e) { console.log(e.message); }
await browser.close(); await server.close();
