BEGIN TRANSACTION;
CREATE TABLE account(name TEXT NOT NULL, mode TEXT NOT NULL, version INTEGER NOT NULL, epoch INTEGER NOT NULL,
                     cash INTEGER NOT NULL, session TEXT) STRICT;
INSERT INTO "account" VALUES('old','paper',2,1,47382927,'2011-01-31T00:00:00');
CREATE TABLE cycles(key TEXT PRIMARY KEY, session TEXT NOT NULL, bars TEXT NOT NULL, status TEXT NOT NULL,
                    equity INTEGER) STRICT;
INSERT INTO "cycles" VALUES('cross|2011-01-07|21:00','2011-01-07T00:00:00','c2922e46b57b4405698bb73b346ef30e','done',50000000000);
INSERT INTO "cycles" VALUES('cross|2011-01-10|21:00','2011-01-10T00:00:00','ea89e1c00f066540c7c3a4d426b06c6c','done',49733101983);
INSERT INTO "cycles" VALUES('cross|2011-01-11|21:00','2011-01-11T00:00:00','3f8ec32a143e6688ad0f2c53d58223fa','done',49644025362);
INSERT INTO "cycles" VALUES('cross|2011-01-12|21:00','2011-01-12T00:00:00','e82a2692500645c27f5b35907e684659','done',49292370659);
INSERT INTO "cycles" VALUES('cross|2011-01-13|21:00','2011-01-13T00:00:00','d0c54e9ec8136fa3f13437434b848049','done',49292370659);
INSERT INTO "cycles" VALUES('cross|2011-01-14|21:00','2011-01-14T00:00:00','7036d0b87b375086ab1a15e69fd1740c','done',49292370659);
INSERT INTO "cycles" VALUES('cross|2011-01-17|21:00','2011-01-17T00:00:00','65a904691c3a9a28acc134e91f7041f8','done',49345313415);
INSERT INTO "cycles" VALUES('cross|2011-01-18|21:00','2011-01-18T00:00:00','ec321f2841ddc5b257848d5d3bf5bcdb','done',48971100582);
INSERT INTO "cycles" VALUES('cross|2011-01-19|21:00','2011-01-19T00:00:00','f06cae8224dec28b1e9d6d8360bb196d','done',49064552637);
INSERT INTO "cycles" VALUES('cross|2011-01-20|21:00','2011-01-20T00:00:00','dcbb6fe8ea53e63bb7eb3306d3078588','done',71458012385);
INSERT INTO "cycles" VALUES('cross|2011-01-21|21:00','2011-01-21T00:00:00','2edae02c42229929f9bcb01257aa3ae6','done',70073755334);
INSERT INTO "cycles" VALUES('cross|2011-01-24|21:00','2011-01-24T00:00:00','7470ed70de574ee99a42d7e40874fadd','done',70073755334);
INSERT INTO "cycles" VALUES('cross|2011-01-25|21:00','2011-01-25T00:00:00','96a6a3c4c32c11e6d5d836f9a6fc1ead','done',72802849180);
INSERT INTO "cycles" VALUES('cross|2011-01-26|21:00','2011-01-26T00:00:00','f09be39816b23df682da9b6603d98954','done',72568508513);
INSERT INTO "cycles" VALUES('cross|2011-01-27|21:00','2011-01-27T00:00:00','773720605008950f0ed7f9c4e9253a99','done',72043500979);
INSERT INTO "cycles" VALUES('cross|2011-01-28|21:00','2011-01-28T00:00:00','7b25715301ddc94ec5acc02c5d591a4d','done',70818634087);
INSERT INTO "cycles" VALUES('cross|2011-01-31|21:00','2011-01-31T00:00:00','5474ca3ca788952d58054c7b48e9b148','planned',NULL);
CREATE TABLE events(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, session TEXT NOT NULL, kind TEXT NOT NULL,
                    symbol TEXT, order_id TEXT REFERENCES intents(id), qty INTEGER NOT NULL, cash INTEGER NOT NULL,
                    fee INTEGER NOT NULL, price REAL, slip INTEGER NOT NULL DEFAULT 0,
                    reason TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO "events" VALUES(1,'transfer:0','','transfer',NULL,NULL,0,50000000000,0,NULL,0,'');
INSERT INTO "events" VALUES(2,'fill:tk1-ylyvxxvmdizqtkz7f7hzik7m5g:0:2011-01-10T00:00:00','2011-01-10T00:00:00','fill','S1','tk1-ylyvxxvmdizqtkz7f7hzik7m5g',431000000,-23479455709,2347711,54.4712482561545,11732688,'FILLED');
INSERT INTO "events" VALUES(3,'fill:tk1-i54kd2x7zlazc5okkzlgx55klc:0:2011-01-12T00:00:00','2011-01-12T00:00:00','fill','S1','tk1-i54kd2x7zlazc5okkzlgx55klc',-431000000,22771826368,2277410,5.28401479775302291858e+01,11392748,'FILLED');
INSERT INTO "events" VALUES(4,'fill:tk1-otccw5hdn7tyzunsh2dc7rrehl:0:2011-01-17T00:00:00','2011-01-17T00:00:00','fill','S0','tk1-otccw5hdn7tyzunsh2dc7rrehl',478000000,-23439038094,2343669,4.90307414741909681783e+01,11712491,'FILLED');
INSERT INTO "events" VALUES(5,'fill:tk1-wozrcyjt5qnxlsumdb5mq5i7df:1:2011-01-17T00:00:00','2011-01-17T00:00:00','fill','S1','tk1-wozrcyjt5qnxlsumdb5mq5i7df',424000000,-23208937071,2320662,5.47325858708074406431e+01,11597509,'FILLED');
INSERT INTO "events" VALUES(6,'dividend:S1:0:2011-01-20T00:00:00','2011-01-20T00:00:00','dividend','S1',NULL,0,106000000,0,0.25,0,'');
INSERT INTO "events" VALUES(7,'split:S1:1:2011-01-20T00:00:00','2011-01-20T00:00:00','split','S1',NULL,424000000,0,0,2.0,0,'');
INSERT INTO "events" VALUES(8,'fill:tk1-ve3ic6razr2me2avx7wqif52xx:0:2011-01-21T00:00:00','2011-01-21T00:00:00','fill','S0','tk1-ve3ic6razr2me2avx7wqif52xx',-478000000,22330815064,2233305,4.6721858512058823008e+01,11172110,'FILLED');
INSERT INTO "events" VALUES(9,'fill:tk1-u7y7zcgbcbq5cngtdrlvc2czvg:0:2011-01-28T00:00:00','2011-01-28T00:00:00','fill','S0','tk1-u7y7zcgbcbq5cngtdrlvc2czvg',525000000,-25033827631,2503132,4.76787133316206848112e+01,12509408,'CASH_AT_OPEN');
CREATE TABLE intents(id TEXT PRIMARY KEY, cycle TEXT NOT NULL REFERENCES cycles(key), symbol TEXT NOT NULL,
                     side TEXT NOT NULL, qty INTEGER NOT NULL, reference REAL NOT NULL, wanted INTEGER NOT NULL,
                     cut_by TEXT NOT NULL, status TEXT NOT NULL, rest INTEGER NOT NULL, reason TEXT NOT NULL,
                     kind TEXT NOT NULL DEFAULT 'market', level REAL, day INTEGER NOT NULL DEFAULT 0,
                     trigger REAL) STRICT;
INSERT INTO "intents" VALUES('tk1-ylyvxxvmdizqtkz7f7hzik7m5g','cross|2011-01-07|21:00','S1','buy',431000000,55.0308592261769,431000000,'','FILLED',0,'','market',NULL,0,NULL);
INSERT INTO "intents" VALUES('tk1-i54kd2x7zlazc5okkzlgx55klc','cross|2011-01-11|21:00','S1','sell',431000000,5.36507681460479233246e+01,431000000,'','FILLED',0,'','market',NULL,0,NULL);
INSERT INTO "intents" VALUES('tk1-pajq77ntbuwgi5x2ukyhinpdf4','cross|2011-01-13|21:00','S1','buy',430000000,5.4397559261805149334e+01,430000000,'','DENIED',430000000,'RISK_DENIED[STALE_DATA] S1 buy 430: measured last bar 50 sessions ago vs limit 2 (risk.max_stale_sessions); fetch again, or wait until the symbol trades','market',NULL,0,NULL);
INSERT INTO "intents" VALUES('tk1-otccw5hdn7tyzunsh2dc7rrehl','cross|2011-01-14|21:00','S0','buy',478000000,4.88858066410013734079e+01,478000000,'','FILLED',0,'','market',NULL,0,NULL);
INSERT INTO "intents" VALUES('tk1-wozrcyjt5qnxlsumdb5mq5i7df','cross|2011-01-14|21:00','S1','buy',424000000,5.51177653545710128941e+01,424000000,'','FILLED',0,'','market',NULL,0,NULL);
INSERT INTO "intents" VALUES('tk1-ve3ic6razr2me2avx7wqif52xx','cross|2011-01-20|21:00','S0','sell',478000000,4.7844852803666910292e+01,478000000,'','FILLED',0,'','market',NULL,0,NULL);
INSERT INTO "intents" VALUES('tk1-u7y7zcgbcbq5cngtdrlvc2czvg','cross|2011-01-27|21:00','S0','buy',526000000,4.76111759160222405276e+01,718000000,'MAX_GROSS','CUT',0,'CASH_AT_OPEN','market',NULL,0,NULL);
INSERT INTO "intents" VALUES('tk1-f6kt6d4jcqz5wf3pfcw46xjvam','cross|2011-01-31|21:00','S1','sell',848000000,5.26726442090562869697e+01,848000000,'','SENDING',848000000,'','market',NULL,0,NULL);
CREATE TABLE order_events(seq INTEGER PRIMARY KEY, id TEXT NOT NULL REFERENCES intents(id), before TEXT NOT NULL,
                          after TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
INSERT INTO "order_events" VALUES(1,'tk1-ylyvxxvmdizqtkz7f7hzik7m5g','','PLANNED','');
INSERT INTO "order_events" VALUES(2,'tk1-ylyvxxvmdizqtkz7f7hzik7m5g','PLANNED','SENDING','');
INSERT INTO "order_events" VALUES(3,'tk1-ylyvxxvmdizqtkz7f7hzik7m5g','SENDING','ACCEPTED','');
INSERT INTO "order_events" VALUES(4,'tk1-ylyvxxvmdizqtkz7f7hzik7m5g','ACCEPTED','FILLED','2011-01-10T00:00:00');
INSERT INTO "order_events" VALUES(5,'tk1-i54kd2x7zlazc5okkzlgx55klc','','PLANNED','');
INSERT INTO "order_events" VALUES(6,'tk1-i54kd2x7zlazc5okkzlgx55klc','PLANNED','SENDING','');
INSERT INTO "order_events" VALUES(7,'tk1-i54kd2x7zlazc5okkzlgx55klc','SENDING','ACCEPTED','');
INSERT INTO "order_events" VALUES(8,'tk1-i54kd2x7zlazc5okkzlgx55klc','ACCEPTED','FILLED','2011-01-12T00:00:00');
INSERT INTO "order_events" VALUES(9,'tk1-pajq77ntbuwgi5x2ukyhinpdf4','','DENIED','RISK_DENIED[STALE_DATA] S1 buy 430: measured last bar 50 sessions ago vs limit 2 (risk.max_stale_sessions); fetch again, or wait until the symbol trades');
INSERT INTO "order_events" VALUES(10,'tk1-otccw5hdn7tyzunsh2dc7rrehl','','PLANNED','');
INSERT INTO "order_events" VALUES(11,'tk1-wozrcyjt5qnxlsumdb5mq5i7df','','PLANNED','');
INSERT INTO "order_events" VALUES(12,'tk1-otccw5hdn7tyzunsh2dc7rrehl','PLANNED','SENDING','');
INSERT INTO "order_events" VALUES(13,'tk1-otccw5hdn7tyzunsh2dc7rrehl','SENDING','ACCEPTED','');
INSERT INTO "order_events" VALUES(14,'tk1-wozrcyjt5qnxlsumdb5mq5i7df','PLANNED','SENDING','');
INSERT INTO "order_events" VALUES(15,'tk1-wozrcyjt5qnxlsumdb5mq5i7df','SENDING','ACCEPTED','');
INSERT INTO "order_events" VALUES(16,'tk1-otccw5hdn7tyzunsh2dc7rrehl','ACCEPTED','FILLED','2011-01-17T00:00:00');
INSERT INTO "order_events" VALUES(17,'tk1-wozrcyjt5qnxlsumdb5mq5i7df','ACCEPTED','FILLED','2011-01-17T00:00:00');
INSERT INTO "order_events" VALUES(18,'tk1-ve3ic6razr2me2avx7wqif52xx','','PLANNED','');
INSERT INTO "order_events" VALUES(19,'tk1-ve3ic6razr2me2avx7wqif52xx','PLANNED','SENDING','');
INSERT INTO "order_events" VALUES(20,'tk1-ve3ic6razr2me2avx7wqif52xx','SENDING','ACCEPTED','');
INSERT INTO "order_events" VALUES(21,'tk1-ve3ic6razr2me2avx7wqif52xx','ACCEPTED','FILLED','2011-01-21T00:00:00');
INSERT INTO "order_events" VALUES(22,'tk1-u7y7zcgbcbq5cngtdrlvc2czvg','','PLANNED','');
INSERT INTO "order_events" VALUES(23,'tk1-u7y7zcgbcbq5cngtdrlvc2czvg','PLANNED','SENDING','');
INSERT INTO "order_events" VALUES(24,'tk1-u7y7zcgbcbq5cngtdrlvc2czvg','SENDING','ACCEPTED','');
INSERT INTO "order_events" VALUES(25,'tk1-u7y7zcgbcbq5cngtdrlvc2czvg','ACCEPTED','CUT','2011-01-28T00:00:00 CASH_AT_OPEN');
INSERT INTO "order_events" VALUES(26,'tk1-f6kt6d4jcqz5wf3pfcw46xjvam','','PLANNED','');
INSERT INTO "order_events" VALUES(27,'tk1-f6kt6d4jcqz5wf3pfcw46xjvam','PLANNED','SENDING','');
CREATE TABLE positions(symbol TEXT PRIMARY KEY, qty INTEGER NOT NULL, entry REAL, mark REAL, score REAL,
                       seen TEXT, peak REAL, out INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "positions" VALUES('S0',525000000,4.76787133316206848112e+01,4.74443132445334541085e+01,1.0,'2011-01-31T00:00:00',4.76787133316206848112e+01,0);
INSERT INTO "positions" VALUES('S1',848000000,2.73662929354037203215e+01,5.26726442090562869697e+01,0.0,'2011-01-31T00:00:00',2.73662929354037203215e+01,0);
COMMIT;