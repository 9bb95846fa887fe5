/** The Chromium that the tests run, on its software GPU. */
export const CHROMIUM: string = process.env.CHROMIUM ?? '/usr/bin/chromium';
export const FLAGS: string[] = [
  ...['--no-sandbox', '--disable-background-networking', '--enable-unsafe-webgpu', '--enable-unsafe-swiftshader'],
  ...['--use-webgpu-adapter=swiftshader', '--use-angle=swiftshader', '--ignore-gpu-blocklist'],
];
