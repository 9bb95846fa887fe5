declare module 'virtual:countries' {
  const countries: readonly { name: string; continent: string }[];
  export default countries;
}
