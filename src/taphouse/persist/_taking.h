/* Taking bytes of what is read, never more than are left.  Included once, by _codec.c.
 *
 * "owed" counts the entries that containers being read still have to get.  Each
 * takes a byte at least, so no length may claim bytes that are owed: all that is
 * ever allocated is a fixed multiple of what was read.
 */
#ifndef TAPHOUSE_TAKING_H
#define TAPHOUSE_TAKING_H

#define MAX_READ_DEPTH 256
#define FIRST_TAG 32
#define CACHED_NAMES 256
#define CACHED_LENGTH 32

static PyObject *codec_error;

typedef struct {
    PyObject_HEAD
    PyObject *rows;
    PyObject *scalar;
    PyObject *tagged;
    char has_parts;                /* whether a value that was poured is more than a leaf */
    PyObject *names[CACHED_NAMES]; /* texts of map keys: most objects have the same few */
} Unpacker;

typedef struct {
    Unpacker *unpacker;
    const uint8_t *data;
    Py_ssize_t size, at, owed;
} In;

static PyObject *
refuse(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    PyErr_FormatV(codec_error, format, values);
    va_end(values);
    return NULL;
}

/* The next bytes, or NULL with an error. */
static inline const uint8_t *
take(In *in, Py_ssize_t size)
{
    if (size > in->size - in->at - in->owed) {
        refuse("%zd bytes promised at offset %zd, fewer are left", size, in->at);
        return NULL;
    }
    const uint8_t *found = in->data + in->at;
    in->at += size;
    return found;
}

static inline uint64_t
big_endian(const uint8_t *data, int bytes)
{
    uint64_t number = 0;
    while (bytes-- > 0)
        number = number << 8 | *data++;
    return number;
}

static inline int
take_number(In *in, int bytes, Py_ssize_t *number)
{
    const uint8_t *data = take(in, bytes);
    if (data == NULL)
        return -1;
    *number = (Py_ssize_t)big_endian(data, bytes);
    return 0;
}

#endif
