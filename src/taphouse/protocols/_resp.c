/* The C twin of resp.py: requests of the Redis protocol, found in bytes and answered in a row. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

enum { LEAST_WORD = 6, MOST_DIGITS = 9 }; /* "$0\r\n\r\n"; more digits would be a gigabyte */

/* Read "<mark><digits>\r\n" at *at; -1 if it is not all there, or not as every program writes it. */
static Py_ssize_t read_head(const char **at, const char *end, char mark)
{
    const char *p = *at;
    Py_ssize_t number = 0;
    if (p == end || *p++ != mark) return -1;
    const char *first = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (p - first == MOST_DIGITS) return -1;
        number = number * 10 + (*p - '0');
    }
    if (p == first || (*first == '0' && p - first > 1)) return -1;
    if (end - p < 2 || p[0] != '\r' || p[1] != '\n') return -1;
    *at = p + 2;
    return number;
}

/* One request at *at: a new list of bytes; Py_None (borrowed) if there is none; NULL with an exception. */
static PyObject *read_request(const char **at, const char *end, Py_ssize_t most_words)
{
    const char *p = *at;
    Py_ssize_t count = read_head(&p, end, '*');
    if (count < 1 || count > most_words || count > (end - p) / LEAST_WORD) return Py_None;
    PyObject *words = PyList_New(count);
    if (words == NULL) return NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t size = read_head(&p, end, '$');
        if (size < 0 || size + 2 > end - p || p[size] != '\r' || p[size + 1] != '\n') {
            Py_DECREF(words);
            return Py_None;
        }
        PyObject *word = PyBytes_FromStringAndSize(p, size);
        if (word == NULL) {
            Py_DECREF(words);
            return NULL;
        }
        PyList_SET_ITEM(words, i, word);
        p += size + 2;
    }
    *at = p;
    return words;
}

static PyObject *split_requests(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !PyBytes_Check(args[0]) || !PyList_Check(args[1]) || !PyLong_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "split_requests(data: bytes, requests: list, most_words: int)");
        return NULL;
    }
    Py_ssize_t most_words = PyLong_AsSsize_t(args[2]);
    if (most_words == -1 && PyErr_Occurred()) return NULL;
    const char *start = PyBytes_AS_STRING(args[0]), *end = start + PyBytes_GET_SIZE(args[0]), *at = start;
    while (at < end) {
        PyObject *words = read_request(&at, end, most_words);
        if (words == NULL) return NULL;
        if (words == Py_None) break;
        int failed = PyList_Append(args[1], words);
        Py_DECREF(words);
        if (failed < 0) return NULL;
    }
    return PyLong_FromSsize_t(at - start);
}

/* The row of a request in the table, or NULL: with an exception if PyErr_Occurred(). */
static PyObject *find_row(PyObject *table, PyObject *words)
{
    if (!PyList_Check(words) || PyList_GET_SIZE(words) == 0) return NULL;
    PyObject *row = PyDict_GetItemWithError(table, PyList_GET_ITEM(words, 0)); /* borrowed */
    if (row == NULL || !PyTuple_Check(row) || PyTuple_GET_SIZE(row) != 3) return NULL;
    Py_ssize_t least = PyLong_AsSsize_t(PyTuple_GET_ITEM(row, 1));
    Py_ssize_t most = PyLong_AsSsize_t(PyTuple_GET_ITEM(row, 2));
    if (PyErr_Occurred()) return NULL;
    return PyList_GET_SIZE(words) < least || PyList_GET_SIZE(words) > most ? NULL : row;
}

static PyObject *answer_requests(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 5 || !PyList_Check(args[1]) || !PyDict_Check(args[2]) || !PyList_Check(args[3]) ||
        !PyLong_Check(args[4])) {
        PyErr_SetString(
            PyExc_TypeError,
            "answer_requests(session, requests: list, table: dict, replies: list, most_bytes: int)");
        return NULL;
    }
    PyObject *session = args[0], *requests = args[1], *table = args[2], *replies = args[3];
    Py_ssize_t left = PyLong_AsSsize_t(args[4]);
    if (left == -1 && PyErr_Occurred()) return NULL;
    for (Py_ssize_t i; left >= 0 && (i = PyList_GET_SIZE(replies)) < PyList_GET_SIZE(requests);) {
        PyObject *words = PyList_GET_ITEM(requests, i), *row = find_row(table, words);
        if (row == NULL) {
            if (PyErr_Occurred()) return NULL;
            break;
        }
        PyObject *act = PyTuple_GET_ITEM(row, 0), *reply;
        PyObject *arguments[] = {session, words};
        Py_INCREF(act);
        Py_INCREF(words); /* the handler may do anything to the list */
        reply = PyObject_Vectorcall(act, arguments, 2, NULL);
        Py_DECREF(words);
        Py_DECREF(act);
        if (reply == NULL) return NULL;
        if (!PyBytes_Check(reply)) {
            PyErr_Format(PyExc_TypeError, "a reply is bytes, not %s", Py_TYPE(reply)->tp_name);
            Py_DECREF(reply);
            return NULL;
        }
        left -= PyBytes_GET_SIZE(reply);
        int failed = PyList_Append(replies, reply);
        Py_DECREF(reply);
        if (failed < 0) return NULL;
    }
    return PyLong_FromSsize_t(left);
}

static PyMethodDef functions[] = {
    {"split_requests", (PyCFunction)(void (*)(void))split_requests, METH_FASTCALL, "See resp.py."},
    {"answer_requests", (PyCFunction)(void (*)(void))answer_requests, METH_FASTCALL, "See resp.py."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "taphouse.protocols._resp", "The C twin of resp.py.", 0, functions, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__resp(void)
{
    return PyModule_Create(&definition);
}
