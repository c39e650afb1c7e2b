/** Something a user can mend: the message says what is wrong and what to do. Its stack is of no use to them. */
export class Fault extends Error {}
